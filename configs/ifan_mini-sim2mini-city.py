# iFAN, Mini Sim to Mini City, from the source-only warm start.
_base_ = [
    './_base_/models/ifan_mini.py', './_base_/datasets/mini-sim2mini-city.py',
    './_base_/schedules/mini.py', './_base_/default_runtime.py'
]
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=1)),
    # One category: the agnostic instance term.
    alignments=dict(instance=dict(num_classes=1, category_aware=False)))
custom_hooks = [
    dict(
        type='LateLaunchHook',
        launch=dict(image=0, instance=600, correlation=1000))
]
load_from = 'work_dirs/warm-start_mini-sim2mini-city/iter_1000.pth'
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=200))
