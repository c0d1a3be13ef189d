_base_ = '../ifan_mini-city.py'
# Image level alone.
custom_hooks = [dict(type='LateLaunchHook', launch=dict(image=0))]
