_base_ = '../ifan_vgg16_city2foggy.py'
# Image level alone: the paper's Table 3.
custom_hooks = [dict(type='LateLaunchHook', launch=dict(image=0))]
