_base_ = '../ifan/ifan_vgg16_sim10k2city.py'
# The image level on one tap alone: the paper's Table 4a.
model = dict(neck=dict(taps=(0,)))
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True, image=0)))
