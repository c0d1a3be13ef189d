_base_ = './teacher_r50-fpn_city2foggy.py'
train_dataloader = _base_.masked_data
