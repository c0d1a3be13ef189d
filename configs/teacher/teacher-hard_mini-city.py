_base_ = './teacher_mini-city.py'
# The teacher's boxes as labels, in place of its outputs.
model = dict(alignments=dict(teacher=dict(type='PseudoLabelHead', box_losses=True)))
