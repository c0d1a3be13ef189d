_base_ = './ifan_mini-sim2mini-city.py'
# Nothing is launched: Faster R-CNN on source alone.
custom_hooks = [dict(type='LateLaunchHook', launch=dict())]
