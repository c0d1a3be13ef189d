_base_ = '../ifan/ifan_mini-city.py'
# Image level and the agnostic instance term.
model = dict(alignments=dict(instance=dict(category_aware=False, loss_weight=0.1)))
default_hooks = dict(
    late_launch=dict(launch=dict(_delete_=True, image=200, instance=500))
)
