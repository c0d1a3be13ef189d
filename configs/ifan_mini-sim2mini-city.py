# iFAN, Mini Sim to Mini City, from the source-only warm start.
_base_ = [
    './_base_/models/ifan_mini.py', './_base_/datasets/mini-sim2mini-city.py',
    './_base_/schedules/mini.py'
]
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=1)),
    # One category: the agnostic instance term, in which every proposal counts.
    alignments=dict(instance=dict(category_aware=False, loss_weight=0.1)))
load_from = 'work_dirs/warm-start_mini-sim2mini-city/iter_2000.pth'
default_hooks = dict(
    # Half way, as in the paper: earlier it costs more than it gains
    # (docs/mini_city.md).
    late_launch=dict(launch=dict(instance=1000)),
    logger=dict(interval=20),
    checkpoint=dict(interval=200))
