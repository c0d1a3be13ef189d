# iFAN, Cityscapes to Foggy Cityscapes: ConvNeXt-T with a feature pyramid.
_base_ = [
    '../_base_/models/ifan_timm-fpn.py',
    '../_base_/datasets/city2foggy.py',
    '../_base_/schedules/ifan_70k_adamw.py',
]
model = dict(roi_head=dict(bbox_head=dict(num_classes=8)))
