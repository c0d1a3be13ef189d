_base_ = ['../ifan/ifan_vgg16_city2foggy.py', '../_base_/methods/cyclegan.py']
model, train_dataloader = _base_.method, _base_.crops
train_cfg, optim_wrapper = _base_.length, _base_.adam
param_scheduler, default_hooks = _base_.decay, _base_.hooks
val_cfg = val_dataloader = val_evaluator = None
test_cfg = test_dataloader = test_evaluator = None
