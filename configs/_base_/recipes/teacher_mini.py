# The recipe of mean teachers on Mini City, the same for every row. Of the views the
# colours alone: blur and erased areas hide too much of images this small.
#
# A teacher has to know something of the target. So there are three runs in one, and
# the rate falls to zero in each: source alone, alignment, and learning from what has
# been aligned (docs/lab/teachers.md). The average spans 1 / 0.01 = 100 iterations. A
# hidden block is as large as a cell of the features.
#
# On your own pair, of images as small and a config on ifan_mini_pair.py:
#
#     _base_ = ['./my_pair.py', 'mmdet_ifan::_base_/recipes/teacher_mini.py']
#     model = dict(alignments=dict(teacher=_base_.boxes_as_labels))
#     default_hooks = dict(teacher=_base_.averaging, **_base_.ifan_teacher)
#     train_cfg, param_scheduler = _base_.length, _base_.rates
#     train_dataloader = _base_.taught_data
_base_ = './teacher.py'
averaging = dict(_base_.averaging, momentum=0.01)
length = dict(max_iters=2000, val_interval=2000)
rates = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=50),
    dict(
        type='CosineRestartLR',
        by_epoch=False,
        begin=50,
        periods=[950, 600, 400],
        restart_weights=[1, 0.5, 0.5],
        eta_min=0,
    ),
]
boxes_as_labels = dict(type='PseudoLabelHead', score_thr=0.5, box_losses=True)
image = dict(type='LoadImageFromFile')
placed = dict(type='RandomFlip', prob=0.5)
colours = _base_.strong_colours[:2]
packed = dict(type='PackDetInputs')
drawn = [placed, *colours, packed]
strong_source = dict(
    pipeline=[image, dict(type='LoadAnnotations', with_bbox=True), *drawn]
)
mild_views = dict(
    _base_.taught_views, target=[*colours, packed], target_student=[*colours, packed]
)
masked_views = dict(
    mild_views, target_student=[*colours, dict(type='BlockMask', block_size=16), packed]
)
strong_data = dict(
    dataset=dict(source=strong_source, target=dict(pipeline=[image, *drawn]))
)
taught_data = dict(
    dataset=dict(
        source=strong_source, target=dict(pipeline=[image, placed, mild_views])
    )
)
masked_data = dict(
    dataset=dict(
        source=strong_source, target=dict(pipeline=[image, placed, masked_views])
    )
)
ifan_strong = dict(
    late_launch=dict(
        launch=dict(_delete_=True, image=1000, instance=1200, correlation=1400)
    )
)
img_strong = dict(late_launch=dict(launch=dict(_delete_=True, image=1000)))
teacher_alone = dict(late_launch=dict(launch=dict(_delete_=True, teacher=1000)))
img_teacher = dict(
    late_launch=dict(launch=dict(_delete_=True, image=1000, teacher=1600))
)
ifan_teacher = dict(
    late_launch=dict(
        launch=dict(
            _delete_=True, image=1000, instance=1200, correlation=1400, teacher=1600
        )
    )
)
