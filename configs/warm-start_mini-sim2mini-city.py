_base_ = './source-only_mini-sim2mini-city.py'
# From scratch: the stand-in for the ImageNet weights that the other
# configs of the pair start from.
load_from = None
train_cfg = dict(max_iters=1000, val_interval=1000)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50, T_max=950)
]
