_base_ = './ifan-teacher_mini-city.py'
# Image level and teacher.
default_hooks = dict(
    late_launch=dict(launch=dict(_delete_=True, image=200, teacher=400))
)
