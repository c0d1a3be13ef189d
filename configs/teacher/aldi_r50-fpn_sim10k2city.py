_base_ = './teacher_r50-fpn_sim10k2city.py'
train_dataloader = _base_.masked_data
