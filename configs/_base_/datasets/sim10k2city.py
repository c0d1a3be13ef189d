# SIM10K to Cityscapes, category car.
_base_ = './domain_pair.py'
metainfo = dict(classes=('car',), palette=[(0, 0, 142)])
sim10k = dict(
    data_root='data/sim10k/',
    metainfo=metainfo,
    ann_file='annotations/instances_train.json',
)
train_dataloader = dict(
    dataset=dict(
        # Groups of objects are background, as in the literature's code.
        source=dict(ignore_crowds=False, **sim10k),
        target=dict(
            data_root='data/cityscapes/', images='annotations/instances_train.json'
        ),
    )
)
val_dataloader = dict(
    dataset=dict(
        # All 10,000 images are for training: the source figure is that of the
        # first 500 of them.
        source=dict(indices=500, **sim10k),
        target=dict(
            data_root='data/cityscapes/',
            metainfo=metainfo,
            ann_file='annotations/instances_val.json',
        ),
    )
)
test_dataloader = val_dataloader
