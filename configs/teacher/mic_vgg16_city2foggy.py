_base_ = ['./aldi_vgg16_city2foggy.py', '../_base_/methods/da-faster.py']
model = _base_.method
model.alignments.teacher = dict(type='PseudoLabelHead', weight_by_score=True)
default_hooks = _base_.launches
default_hooks.late_launch.launch.teacher = 20000
