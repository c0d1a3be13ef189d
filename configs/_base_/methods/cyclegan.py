# CycleGAN (Zhu et al., ICCV 2017): paints source images in the look of the
# target. Its images are for DT+FT (dt-ft.py beside this file).
#
# Any config of iFAN becomes one of this method:
#
#     _base_ = ['IFAN_CONFIG.py', 'mmdet_ifan::_base_/methods/cyclegan.py']
#     model, train_dataloader = _base_.method, _base_.crops
#     train_cfg, optim_wrapper = _base_.length, _base_.adam
#     param_scheduler, default_hooks = _base_.decay, _base_.hooks
#     val_cfg = val_dataloader = val_evaluator = None
#     test_cfg = test_dataloader = test_evaluator = None
method = dict(
    _delete_=True,
    type='CycleGAN',
    generator=dict(type='ResnetGenerator'),
    classifier=dict(type='PatchClassifier'),
)
crops = dict(
    batch_size=1,
    dataset=dict(
        augmentation=[
            dict(type='RandomCrop', crop_size=(400, 400), allow_negative_crop=True)
        ]
    ),
)
length = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=200000)
adam = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)),
)
# Constant for the first half, then linear: the step after the last has rate 0.
decay = [
    dict(
        type='LinearLR',
        by_epoch=False,
        begin=100000,
        end=200000,
        start_factor=1.0,
        end_factor=1 / 100000,
    )
]
# Those of the base runtime, but for the detector's.
hooks = dict(
    _delete_=True,
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='ResumableCheckpointHook', by_epoch=False, interval=10000, max_keep_ckpts=2
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    preflight=dict(type='PreflightHook'),
    unreadable_images=dict(type='UnreadableImagesHook'),
    # Losses of opponents rise and fall.
    finite_check=dict(type='FiniteCheckHook', divergence=None),
    samples=dict(type='TranslationSamplesHook', interval=5000),
)
