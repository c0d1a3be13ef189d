_base_ = '../ifan/ifan_vgg16_city2foggy.py'
# Image level and the agnostic instance term: the paper's Table 3.
model = dict(alignments=dict(instance=dict(category_aware=False, loss_weight=0.1)))
default_hooks = dict(
    late_launch=dict(launch=dict(_delete_=True, image=0, instance=30000))
)
