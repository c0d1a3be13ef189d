_base_ = ['../ifan/ifan_vgg16_city2foggy.py', '../_base_/methods/dt-ft.py']
train_dataloader, default_hooks = _base_.translated, _base_.launches
