_base_ = './img-teacher_mini-city.py'
# Adaptive Teacher: hard labels, of what and not of where, and the image level.
model = dict(alignments=dict(teacher=dict(type='PseudoLabelHead')))
