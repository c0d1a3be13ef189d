_base_ = ['./aldi_r50-fpn_sim10k2city.py', '../_base_/methods/da-faster.py']
# Its image level is that of C5; RPN and RoI head keep the pyramid.
model = dict(alignments=_base_.method.alignments)
model['alignments'].teacher = dict(type='PseudoLabelHead', weight_by_score=True)
default_hooks = _base_.launches
default_hooks.late_launch.launch.teacher = 20000
