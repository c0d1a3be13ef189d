# iFAN, Cityscapes to Foggy Cityscapes with fog of beta = 0.005.
_base_ = './ifan_vgg16_city2foggy.py'
train_dataloader = dict(
    dataset=dict(
        target=dict(images='annotations/instances_train_foggy_beta_0.005.json')
    )
)
val_dataloader = dict(
    dataset=dict(
        target=dict(ann_file='annotations/instances_val_foggy_beta_0.005.json')
    )
)
test_dataloader = val_dataloader
