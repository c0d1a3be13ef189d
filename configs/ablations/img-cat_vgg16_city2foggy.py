_base_ = '../ifan_vgg16_city2foggy.py'
# Image level and the category-aware instance term: the paper's Table 3.
custom_hooks = [
    dict(type='LateLaunchHook', launch=dict(image=0, instance=30000))
]
