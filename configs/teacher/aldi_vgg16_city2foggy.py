_base_ = './teacher_vgg16_city2foggy.py'
train_dataloader = _base_.masked_data
