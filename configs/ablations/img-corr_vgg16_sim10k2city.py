_base_ = '../ifan/ifan_vgg16_sim10k2city.py'
# Image level and correlation: the paper's Table 2.
default_hooks = dict(
    late_launch=dict(launch=dict(_delete_=True, image=0, correlation=50000))
)
