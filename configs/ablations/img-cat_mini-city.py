_base_ = '../ifan_mini-city.py'
# Image level and the category-aware instance term.
custom_hooks = [
    dict(type='LateLaunchHook', launch=dict(image=0, instance=400))
]
