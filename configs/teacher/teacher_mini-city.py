_base_ = './ifan-teacher_mini-city.py'
# Teacher alone.
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True, teacher=400)))
