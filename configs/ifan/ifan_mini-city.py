# iFAN on Mini City, clear to dense fog, straight from ImageNet.
_base_ = [
    '../_base_/models/ifan_mini.py',
    '../_base_/datasets/mini-city.py',
    '../_base_/schedules/mini.py',
]
model = dict(roi_head=dict(bbox_head=dict(num_classes=8)))
