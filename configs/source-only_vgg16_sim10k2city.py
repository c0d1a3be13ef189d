_base_ = './ifan_vgg16_sim10k2city.py'
# Nothing is launched: Faster R-CNN on source alone.
custom_hooks = [dict(type='LateLaunchHook', launch=dict())]
