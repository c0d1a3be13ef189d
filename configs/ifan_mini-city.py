# iFAN on Mini City, clear to foggy, from the source-only warm start.
_base_ = [
    './_base_/models/ifan_mini.py', './_base_/datasets/mini-city.py',
    './_base_/schedules/mini.py'
]
model = dict(roi_head=dict(bbox_head=dict(num_classes=8)))
load_from = 'work_dirs/warm-start_mini-city/iter_2000.pth'
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=200))
