# A stronger recipe, the same for source-only, oracle and every method: the
# moving average of the weights is what is tested and saved, and colours vary
# in both domains. A config switches it on with
#
#     _base_ = ['ANY_CONFIG.py', 'mmdet_ifan::_base_/recipes/strong.py']
#     default_hooks = {{_base_.strong_hooks}}
#     train_dataloader = {{_base_.strong_dataloader}}
strong_hooks = dict(ema=dict(type='EMAHook', momentum=0.005))
strong_dataloader = dict(
    dataset=dict(
        augmentation=[
            dict(
                type='RandAugment',
                aug_num=1,
                aug_space=[
                    [dict(type='AutoContrast')],
                    [dict(type='Equalize')],
                    [dict(type='Color')],
                    [dict(type='Contrast')],
                    [dict(type='Brightness')],
                    [dict(type='Sharpness')],
                    [dict(type='Posterize')],
                ],
            )
        ]
    )
)
