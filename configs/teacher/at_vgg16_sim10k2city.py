_base_ = './img-teacher_vgg16_sim10k2city.py'
model = dict(alignments=dict(teacher=dict(type='PseudoLabelHead')))
