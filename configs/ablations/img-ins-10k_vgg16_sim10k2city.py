_base_ = '../ifan/ifan_vgg16_sim10k2city.py'
# The instance term from iteration 10,000 on: the paper's Table 4b.
default_hooks = dict(
    late_launch=dict(launch=dict(_delete_=True, image=0, instance=10000))
)
