_base_ = '../ifan_mini-city.py'
# The image level on one tap alone.
model = dict(neck=dict(taps=(0, )))
custom_hooks = [dict(type='LateLaunchHook', launch=dict(image=0))]
