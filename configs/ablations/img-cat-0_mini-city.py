_base_ = '../ifan_mini-city.py'
# The category-aware instance term from iteration 0 on.
custom_hooks = [dict(type='LateLaunchHook', launch=dict(image=0, instance=0))]
