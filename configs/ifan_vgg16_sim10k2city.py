# iFAN, SIM10K to Cityscapes: the paper's Table 2, last row.
_base_ = [
    './_base_/models/ifan_vgg16.py', './_base_/datasets/sim10k2city.py',
    './_base_/schedules/ifan_70k.py'
]
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=1)),
    # One category: the agnostic instance term.
    alignments=dict(instance=dict(category_aware=False)),
    # Groups of objects ("crowds") are background, as in the code that the
    # literature runs.
    train_cfg=dict(
        rpn=dict(assigner=dict(ignore_iof_thr=-1)),
        rcnn=dict(assigner=dict(ignore_iof_thr=-1))))
