# The recipe of mean teachers at the paper's size, shorter side 600, and over its
# 70k iterations, so that every row stands beside those without a teacher.
#
# Before iteration 20k there is no teacher: that is the burn-in, as long as Adaptive
# Teacher's. It ends before the instance level starts, and the teacher has 30k
# iterations at the full rate. The average spans 1 / 0.0004 = 2500 iterations, as
# ALDI++'s. Blocks of BlockMask are 32 px, as MIC's at this size. We have trained
# none of it.
#
# ALDI++ starts from COCO. With R50-FPN do the same in every row, source-only and
# oracle too; the log names the layers that start anew, those that tell the
# classes apart:
#
#     load_from = (
#         'https://download.openmmlab.com/mmdetection/v2.0/faster_rcnn/'
#         'faster_rcnn_r50_fpn_1x_coco/'
#         'faster_rcnn_r50_fpn_1x_coco_20200130-047c8118.pth')
#
# On your own pair:
#
#     _base_ = ['./my_pair.py', 'mmdet_ifan::_base_/recipes/teacher_70k.py']
#     model = dict(alignments=dict(teacher=dict(type='TeacherDistillation')))
#     default_hooks = dict(teacher=_base_.averaging, **_base_.ifan_teacher)
#     train_dataloader = _base_.taught_data
_base_ = './teacher.py'
image = dict(type='LoadImageFromFile')
placed = [
    dict(type='Resize', scale=(2000, 600), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
]
packed = dict(type='PackDetInputs')
drawn = [*placed, *_base_.strong_views, packed]
strong_source = dict(
    pipeline=[image, dict(type='LoadAnnotations', with_bbox=True), *drawn]
)
masked_views = dict(
    _base_.taught_views,
    target_student=[*_base_.strong_colours, dict(type='BlockMask'), packed],
)
strong_data = dict(
    dataset=dict(source=strong_source, target=dict(pipeline=[image, *drawn]))
)
taught_data = dict(
    dataset=dict(
        source=strong_source,
        target=dict(pipeline=[image, *placed, _base_.taught_views]),
    )
)
masked_data = dict(
    dataset=dict(
        source=strong_source, target=dict(pipeline=[image, *placed, masked_views])
    )
)
teacher_alone = dict(late_launch=dict(launch=dict(_delete_=True, teacher=20000)))
img_teacher = dict(late_launch=dict(launch=dict(_delete_=True, image=0, teacher=20000)))
ifan_teacher = dict(
    late_launch=dict(
        launch=dict(
            _delete_=True, image=0, teacher=20000, instance=30000, correlation=50000
        )
    )
)
