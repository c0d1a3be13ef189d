# The recipe of mean teachers, the same for source-only, oracle and every method:
# strong views of source, and the moving average of the weights, which is what is
# tested, saved and the teacher. A teacher's terms see two more views of target.
#
# Put strong_views before the pack of source's pipeline. In a config with
# alignments, target is drawn alike:
#
#     _base_ = ['ANY_CONFIG.py', 'mmdet_ifan::_base_/recipes/teacher.py']
#     model = dict(alignments=dict(teacher=dict(type='TeacherDistillation')))
#     default_hooks = dict(
#         teacher=_base_.averaging, late_launch=dict(launch=dict(teacher=20000)))
#     train_dataloader = dict(dataset=dict(
#         source=dict(pipeline=[
#             _base_.load, _base_.boxes, _base_.resize, _base_.flip,
#             *_base_.strong_views, _base_.pack]),
#         target=dict(pipeline=[
#             _base_.load, _base_.resize, _base_.flip, _base_.taught_views])))
averaging = dict(type='TeacherHook', momentum=0.0004)
# ALDI++'s (Kay et al., TMLR 2025).
altered = dict(min_mag=0.6, max_mag=1.4)
strong_colours = [
    dict(
        type='RandomApply',
        prob=0.8,
        transforms=[
            dict(type='Contrast', **altered),
            dict(type='Brightness', **altered),
            dict(type='Color', **altered),
        ],
    ),
    dict(type='RandomGrayscale', prob=0.2, keep_channels=True),
    dict(type='RandomApply', prob=0.5, transforms=[dict(type='GaussianBlur')]),
]
# Shares of the sides, drawn one by one: areas of 5 to 20 and 2 to 20 %.
large, small = (
    dict(type='RandomErasing', n_patches=1, ratio=(least, 0.45), squared=False)
    for least in (0.22, 0.14)
)
strong_views = [
    *strong_colours,
    dict(type='RandomApply', prob=0.7, transforms=[large]),
    dict(type='RandomApply', prob=0.5, transforms=[small]),
    dict(type='RandomApply', prob=0.3, transforms=[small]),
]
taught_views = dict(
    type='MultiBranch',
    branch_field=['target', 'target_teacher', 'target_student'],
    target=[*strong_views, dict(type='PackDetInputs')],
    target_teacher=[dict(type='PackDetInputs')],
    target_student=[*strong_colours, dict(type='PackDetInputs')],
)
