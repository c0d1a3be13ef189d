_base_ = ['../ifan/ifan_mini-city.py', '../_base_/methods/cyclegan.py']
model, train_dataloader = _base_.method, _base_.crops
train_cfg, optim_wrapper = _base_.length, _base_.adam
param_scheduler, default_hooks = _base_.decay, _base_.hooks
val_cfg = val_dataloader = val_evaluator = None
test_cfg = test_dataloader = test_evaluator = None
# Seven minutes of one core.
model.generator.update(width=16, num_blocks=4)
model.classifier.update(width=16)
train_dataloader.dataset.augmentation[0].crop_size = (128, 128)
train_cfg.max_iters = 1200
param_scheduler[0].update(begin=600, end=1200, end_factor=1 / 600)
default_hooks.checkpoint.interval = 400
default_hooks.samples.interval = 200
auto_scale_lr = dict(base_batch_size=1)
