# The first registers our classes with mmdet; the second has mmengine load
# checkpoints safely and know our configs by name.
custom_imports = dict(
    imports=['mmdet_ifan', 'mmdet_ifan.patch_mmengine'], allow_failed_imports=False
)
default_scope = 'mmdet'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    # Metrics at their iteration: counted in epochs they would stand at 0.
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # The last checkpoint is the result: picking the best one would read the
    # target's labels.
    checkpoint=dict(
        type='ResumableCheckpointHook', by_epoch=False, interval=5000, max_keep_ckpts=2
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # Check config, data, weights and detector before the first iteration.
    preflight=dict(type='PreflightHook'),
    unreadable_images=dict(type='UnreadableImagesHook'),
    # Nothing that is not finite reaches the weights: 'stop' or 'skip'.
    finite_check=dict(type='FiniteCheckHook', action='stop'),
    visualization=dict(type='DetVisualizationHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
# An alignment that is not launched yet has parameters without gradients
# (docs/guide/scaling.md says what this costs).
find_unused_parameters = True

randomness = dict(seed=0)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(
    type='DetLocalVisualizer', vis_backends=vis_backends, name='visualizer'
)
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
