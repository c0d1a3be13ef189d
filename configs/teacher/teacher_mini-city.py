_base_ = './teacher-hard_mini-city.py'
# The teacher's outputs as labels, in place of its boxes.
model = dict(alignments=dict(teacher=dict(_delete_=True, type='TeacherDistillation')))
