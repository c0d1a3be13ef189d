_base_ = './source-only-strong_mini-city.py'
# The upper bound: trained on the target's images with their labels.
train_dataloader = dict(
    dataset=dict(
        source=dict(ann_file='annotations/instances_train_foggy_beta_0.05.json')
    )
)
