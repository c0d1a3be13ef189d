# iFAN, SIM10K to Cityscapes: ResNet-50 with a feature pyramid.
_base_ = [
    '../_base_/models/ifan_r50-fpn.py',
    '../_base_/datasets/sim10k2city.py',
    '../_base_/schedules/ifan_70k.py',
]
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=1)),
    # One category: the agnostic instance term.
    alignments=dict(instance=dict(category_aware=False)),
)
