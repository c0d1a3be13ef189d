_base_ = ['../ifan/ifan_vgg16_city2foggy.py', '../_base_/methods/few-shot.py']
model = _base_.method
default_hooks = _base_.launches
# Pairs of images, half as many iterations: as many images as every method.
train_dataloader = dict(batch_size=2)
train_cfg = dict(max_iters=35000)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[25000], gamma=0.1)
]
auto_scale_lr = dict(base_batch_size=2)
