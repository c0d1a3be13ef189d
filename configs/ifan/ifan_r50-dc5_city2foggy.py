# iFAN, Cityscapes to Foggy Cityscapes: ResNet-50, Table 1.
_base_ = [
    '../_base_/models/ifan_r50-dc5.py',
    '../_base_/datasets/city2foggy.py',
    '../_base_/schedules/ifan_70k.py',
]
model = dict(roi_head=dict(bbox_head=dict(num_classes=8)))
