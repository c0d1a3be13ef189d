# Cityscapes to Foggy Cityscapes (beta = 0.02), 8 categories. Prepare with
# tools/prepare/cityscapes.py.
_base_ = './domain_pair.py'
data_root = 'data/cityscapes/'
metainfo = dict(
    classes=(
        'person',
        'rider',
        'car',
        'truck',
        'bus',
        'train',
        'motorcycle',
        'bicycle',
    ),
    palette=[
        (220, 20, 60),
        (255, 0, 0),
        (0, 0, 142),
        (0, 0, 70),
        (0, 60, 100),
        (0, 80, 100),
        (0, 0, 230),
        (119, 11, 32),
    ],
)
train_dataloader = dict(
    dataset=dict(
        source=dict(
            data_root=data_root,
            metainfo=metainfo,
            ann_file='annotations/instances_train.json',
            # Groups of objects are background, as in the literature's code.
            ignore_crowds=False,
        ),
        target=dict(
            data_root=data_root,
            images='annotations/instances_train_foggy_beta_0.02.json',
        ),
    )
)
val_dataloader = dict(
    dataset=dict(
        source=dict(
            data_root=data_root,
            metainfo=metainfo,
            ann_file='annotations/instances_val.json',
        ),
        target=dict(
            data_root=data_root,
            metainfo=metainfo,
            ann_file='annotations/instances_val_foggy_beta_0.02.json',
        ),
    )
)
test_dataloader = val_dataloader
