# How any pair of domains is loaded, trained on and evaluated. A pair's own
# file adds where its images are.
source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    # Shorter side 600, aspect kept.
    dict(type='Resize', scale=(2000, 600), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')
]
# No LoadAnnotations: nothing ever reads a target box.
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2000, 600), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2000, 600), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                   'scale_factor'))
]

train_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='PairedDomainSampler'),
    dataset=dict(
        type='PairedDomainDataset',
        source=dict(
            type='DomainCocoDataset',
            filter_cfg=dict(filter_empty_gt=True),
            pipeline=source_pipeline),
        target=dict(type='UnlabelledDataset', pipeline=target_pipeline)))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='DomainTestDataset',
        source=dict(type='DomainCocoDataset'),
        target=dict(type='DomainCocoDataset'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(
    type='MultiDatasetsEvaluator',
    metrics=[dict(type='DomainMetric'),
             dict(type='DomainMetric')],
    dataset_prefixes=['source', 'target'])
test_evaluator = val_evaluator
