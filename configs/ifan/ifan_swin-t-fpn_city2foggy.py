# iFAN, Cityscapes to Foggy Cityscapes: Swin-T with a feature pyramid.
_base_ = [
    '../_base_/models/ifan_timm-fpn.py',
    '../_base_/datasets/city2foggy.py',
    '../_base_/schedules/ifan_70k_adamw.py',
]
model = dict(
    backbone=dict(model='swin_tiny_patch4_window7_224.ms_in1k', dynamic_img_size=True),
    roi_head=dict(bbox_head=dict(num_classes=8)),
)
