_base_ = './ifan_r50-fpn_city2foggy.py'
# Nothing is launched: Faster R-CNN on source alone.
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True)))
