# iFAN, Mini Sim to Mini City, straight from ImageNet.
_base_ = [
    '../_base_/models/ifan_mini.py',
    '../_base_/datasets/mini-sim2mini-city.py',
    '../_base_/schedules/mini.py',
]
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=1)),
    # One category: the agnostic instance term, in which every proposal counts.
    alignments=dict(instance=dict(category_aware=False, loss_weight=0.1)),
)
