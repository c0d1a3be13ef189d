_base_ = './teacher_vgg16_city2foggy.py'
model = dict(alignments=dict(teacher=dict(type='PseudoLabelHead', box_losses=True)))
