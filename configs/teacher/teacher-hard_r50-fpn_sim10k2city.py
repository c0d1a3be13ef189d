_base_ = './teacher_r50-fpn_sim10k2city.py'
model = dict(alignments=dict(teacher=dict(type='PseudoLabelHead', box_losses=True)))
