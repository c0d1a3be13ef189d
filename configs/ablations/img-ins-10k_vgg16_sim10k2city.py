_base_ = '../ifan_vgg16_sim10k2city.py'
# The instance term from iteration 10,000 on: the paper's Table 4b.
custom_hooks = [
    dict(type='LateLaunchHook', launch=dict(image=0, instance=10000))
]
