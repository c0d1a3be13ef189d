# Mini City, clear to dense fog (beta = 0.05, 60 m of sight), at the size that
# it is rendered at.
# Rendered by tools/prepare/mini_city.py, prepared by
# tools/prepare/cityscapes.py.
_base_ = './city2foggy.py'
load, boxes, flip, pack = _base_.load, _base_.boxes, _base_.flip, _base_.pack
data_root = 'data/mini_city/'
resize = dict(type='Resize', scale=(256, 128), keep_ratio=True)
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        source=dict(data_root=data_root, pipeline=[load, boxes, flip, pack]),
        target=dict(
            data_root=data_root,
            images='annotations/instances_train_foggy_beta_0.05.json',
            pipeline=[load, flip, pack],
        ),
    ),
)
val_dataloader = dict(
    batch_size=8,
    dataset=dict(
        source=dict(data_root=data_root),
        target=dict(
            data_root=data_root,
            ann_file='annotations/instances_val_foggy_beta_0.05.json',
        ),
        pipeline=[load, resize, boxes, pack],
    ),
)
test_dataloader = val_dataloader
