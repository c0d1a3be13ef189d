_base_ = './ifan_mini-sim2mini-city.py'
# Nothing is launched: Faster R-CNN on source alone.
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True)))
