_base_ = './img-teacher_r50-fpn_city2foggy.py'
model = dict(alignments=dict(teacher=dict(type='PseudoLabelHead')))
