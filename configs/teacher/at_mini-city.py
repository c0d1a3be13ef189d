_base_ = './img-teacher_mini-city.py'
# Adaptive Teacher: labels of what and not of where, and the image level.
model = dict(alignments=dict(teacher=dict(box_losses=False)))
