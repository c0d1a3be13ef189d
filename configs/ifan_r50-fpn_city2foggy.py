# iFAN, Cityscapes to Foggy Cityscapes: ResNet-50 with a feature pyramid.
_base_ = [
    './_base_/models/ifan_r50-fpn.py', './_base_/datasets/city2foggy.py',
    './_base_/schedules/ifan_70k.py'
]
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=8)),
    # Groups of objects ("crowds") are background, as in the code that the
    # literature runs.
    train_cfg=dict(
        rpn=dict(assigner=dict(ignore_iof_thr=-1)),
        rcnn=dict(assigner=dict(ignore_iof_thr=-1))))
