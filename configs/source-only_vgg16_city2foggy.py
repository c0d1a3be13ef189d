_base_ = './ifan_vgg16_city2foggy.py'
# Nothing is launched: Faster R-CNN on source alone.
custom_hooks = [dict(type='LateLaunchHook', launch=dict())]
