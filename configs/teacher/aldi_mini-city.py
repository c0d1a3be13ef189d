_base_ = './teacher_mini-city.py'
# ALDI++: the student's view is masked as well.
train_dataloader = _base_.masked_data
