_base_ = ['../ifan/ifan_mini-city.py', '../_base_/methods/cyclegan.py']
model, train_dataloader = _base_.method, _base_.crops
train_cfg, optim_wrapper = _base_.length, _base_.adam
param_scheduler, default_hooks = _base_.decay, _base_.hooks
val_cfg = val_dataloader = val_evaluator = None
test_cfg = test_dataloader = test_evaluator = None
# Small networks, which learn in seven minutes of one core at a higher rate.
model.generator.update(width=16, num_blocks=4)
model.classifier.update(width=16)
train_dataloader.dataset.augmentation[0].crop_size = (96, 96)
train_cfg.max_iters = 2400
optim_wrapper.optimizer.lr = 1e-3
param_scheduler[0].update(begin=1200, end=2400, end_factor=1 / 1200)
default_hooks.checkpoint.interval = 500
default_hooks.samples.interval = 250
auto_scale_lr = dict(base_batch_size=1)
