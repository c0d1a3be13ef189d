_base_ = '../ifan_vgg16_sim10k2city.py'
# Image level alone: the paper's Table 2.
custom_hooks = [dict(type='LateLaunchHook', launch=dict(image=0))]
