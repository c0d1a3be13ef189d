_base_ = '../ifan_mini-city.py'
# Image level and correlation.
custom_hooks = [
    dict(type='LateLaunchHook', launch=dict(image=0, correlation=1400))
]
