_base_ = './ifan_r50-fpn_city2foggy.py'
# Nothing is launched: Faster R-CNN on source alone.
custom_hooks = [dict(type='LateLaunchHook', launch=dict())]
