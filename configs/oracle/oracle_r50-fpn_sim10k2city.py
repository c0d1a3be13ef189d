_base_ = '../source-only/source-only_r50-fpn_sim10k2city.py'
# The upper bound: trained on the target's images with their labels.
train_dataloader = dict(
    dataset=dict(
        source=dict(
            data_root='data/cityscapes/', ann_file='annotations/instances_train.json'
        )
    )
)
