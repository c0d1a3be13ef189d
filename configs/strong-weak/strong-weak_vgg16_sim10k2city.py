_base_ = ['../ifan/ifan_vgg16_sim10k2city.py', '../_base_/methods/strong-weak.py']
model = _base_.method
model.neck.loss_weight = 0.1
default_hooks = _base_.launches
