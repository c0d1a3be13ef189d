# DT+FT: Faster R-CNN on source images that CycleGAN has painted in the look of
# the target. Nothing is launched.
#
# Any config of iFAN becomes one of this method:
#
#     _base_ = ['IFAN_CONFIG.py', 'mmdet_ifan::_base_/methods/dt-ft.py']
#     train_dataloader, default_hooks = _base_.translated, _base_.launches
#
# Train cyclegan.py beside this file first, and paint the images of the source
# with tools/prepare/translate.py.
translated = dict(
    dataset=dict(
        source=dict(type='TranslatedCocoDataset', data_prefix=dict(img='translated/'))
    )
)
launches = dict(late_launch=dict(launch=dict(_delete_=True)))
