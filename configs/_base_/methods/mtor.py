# MTOR (Cai et al., CVPR 2019): a teacher, the moving average of the detector,
# sees each target image in other colours; regions keep their scores and their
# relations.
#
# A config of iFAN becomes one of this method; views end the target's pipeline:
#
#     _base_ = ['IFAN_CONFIG.py', 'mmdet_ifan::_base_/methods/mtor.py']
#     model = _base_.method
#     default_hooks = _base_.launches
#     train_dataloader = dict(dataset=dict(target=dict(pipeline=[
#         _base_.load, _base_.resize, _base_.flip, _base_.views])))
#
# The paper fine-tunes: give load_from a checkpoint of source-only.
method = dict(
    neck=dict(_delete_=True, type='LastTap'),
    alignments=dict(_delete_=True, mtor=dict(type='ObjectRelationHead')),
)
launches = dict(
    late_launch=dict(launch=dict(_delete_=True, mtor=0)),
    # What is tested, saved and exported.
    teacher=dict(type='TeacherHook', momentum=0.001),
)
# The public code's: each with probability 0.7, grey in 0.3 of these, others by
# up to 15 %. mmdet turns the hue (by up to 0.15 of 180 degrees, in steps of 2)
# with probability 0.5, and has no noise along the colours' principal axes.
slight = dict(prob=0.7, min_mag=0.85, max_mag=1.15)
colours = dict(
    type='RandomOrder',
    transforms=[
        dict(type='RandomGrayscale', prob=0.7 * 0.3, keep_channels=True),
        dict(type='Brightness', **slight),
        dict(type='Contrast', **slight),
        dict(type='Color', **slight),
        dict(type='YOLOXHSVRandomAug', hue_delta=13, saturation_delta=0, value_delta=0),
    ],
)
views = dict(
    type='MultiBranch',
    branch_field=['target', 'target_teacher'],
    target=[colours, dict(type='PackDetInputs')],
    target_teacher=[colours, dict(type='PackDetInputs')],
)
