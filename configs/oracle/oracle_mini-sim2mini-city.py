_base_ = '../source-only/source-only_mini-sim2mini-city.py'
# The upper bound: trained on the target's images with their labels.
train_dataloader = dict(dataset=dict(source=dict(data_root='data/mini_city/')))
