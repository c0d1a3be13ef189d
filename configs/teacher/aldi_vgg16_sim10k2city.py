_base_ = './teacher_vgg16_sim10k2city.py'
train_dataloader = _base_.masked_data
