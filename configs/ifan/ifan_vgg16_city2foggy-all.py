# iFAN, Cityscapes to all of Foggy Cityscapes: three fogs of each scene.
_base_ = './ifan_vgg16_city2foggy.py'
train_dataloader = dict(
    dataset=dict(target=dict(images='annotations/instances_train_foggy_all.json'))
)
val_dataloader = dict(
    dataset=dict(target=dict(ann_file='annotations/instances_val_foggy_all.json'))
)
test_dataloader = val_dataloader
