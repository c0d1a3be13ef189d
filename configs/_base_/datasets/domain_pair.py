# How any pair of domains is loaded, trained on and evaluated. A pair's own
# file adds where its images are.
load = dict(type='LoadImageFromFile')
boxes = dict(type='LoadAnnotations', with_bbox=True)
# Shorter side 600, aspect kept.
resize = dict(type='Resize', scale=(2000, 600), keep_ratio=True)
flip = dict(type='RandomFlip', prob=0.5)
pack = dict(type='PackDetInputs')

train_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='PairedDomainSampler'),
    collate_fn=dict(type='collate_with_random_state'),
    dataset=dict(
        type='PairedDomainDataset',
        source=dict(
            type='DomainCocoDataset',
            filter_cfg=dict(filter_empty_gt=True),
            pipeline=[load, boxes, resize, flip, pack],
        ),
        # No boxes: nothing ever reads a target label.
        target=dict(type='UnlabelledDataset', pipeline=[load, resize, flip, pack]),
    ),
)
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
        # Boxes last: they stay those of the image as it is on the disk.
        pipeline=[load, resize, boxes, pack],
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    type='MultiDatasetsEvaluator',
    metrics=[dict(type='DomainMetric'), dict(type='DomainMetric')],
    dataset_prefixes=['source', 'target'],
)
test_evaluator = val_evaluator
