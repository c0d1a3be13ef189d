# iFAN, SIM10K to Cityscapes: ConvNeXt-T with a feature pyramid.
_base_ = [
    '../_base_/models/ifan_timm-fpn.py',
    '../_base_/datasets/sim10k2city.py',
    '../_base_/schedules/ifan_70k_adamw.py',
]
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=1)),
    # One category: the agnostic instance term.
    alignments=dict(instance=dict(category_aware=False)),
)
