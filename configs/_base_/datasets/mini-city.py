# Mini City, clear to foggy (beta = 0.02), at the size that it is rendered at.
# Rendered by tools/prepare/mini_city.py, prepared by
# tools/prepare/cityscapes.py.
_base_ = './city2foggy.py'
data_root = 'data/mini_city/'
source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')
]
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(256, 128), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                   'scale_factor'))
]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        source=dict(data_root=data_root, pipeline=source_pipeline),
        target=dict(data_root=data_root, pipeline=target_pipeline)))
val_dataloader = dict(
    batch_size=8,
    dataset=dict(
        source=dict(data_root=data_root),
        target=dict(data_root=data_root),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
