# Everything but the data: iFAN with EfficientNet-Lite0, also on a CPU.
_base_ = ['./models/ifan_mini.py', './datasets/domain_pair.py', './schedules/mini.py']
# What the schedule was found with.
train_dataloader = dict(batch_size=4)
