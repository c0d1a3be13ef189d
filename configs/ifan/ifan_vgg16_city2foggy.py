# iFAN, Cityscapes to Foggy Cityscapes: the paper's Table 3, last row.
_base_ = [
    '../_base_/models/ifan_vgg16.py',
    '../_base_/datasets/city2foggy.py',
    '../_base_/schedules/ifan_70k.py',
]
model = dict(roi_head=dict(bbox_head=dict(num_classes=8)))
