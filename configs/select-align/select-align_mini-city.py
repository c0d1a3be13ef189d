_base_ = ['../ifan/ifan_mini-city.py', '../_base_/methods/select-align.py']
model = _base_.method
# Four patches of 64 px would cover half of an image of 256 x 128 px.
model.alignments.select_align.update(
    num_regions=2, proposals_per_region=16, classifier_channels=16
)
# From ImageNet, detection first.
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True, select_align=200)))
