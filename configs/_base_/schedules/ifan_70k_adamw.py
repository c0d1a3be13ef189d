# The paper's schedule for trunks that SGD does not train: AdamW. The classifiers
# step faster than the detector, or they have nothing to tell it.
_base_ = './ifan_70k.py'
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2.5e-5, weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys=dict(
            relative_position_bias_table=dict(decay_mult=0.0),
            alignments=dict(lr_mult=4.0),
        ),
    ),
)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.001, end=1000),
    dict(type='MultiStepLR', by_epoch=False, milestones=[50000], gamma=0.1),
]
