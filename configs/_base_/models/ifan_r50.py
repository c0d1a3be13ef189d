# The trunk of both ResNet-50 detectors, from ImageNet.
_base_ = './ifan_faster-rcnn.py'
model = dict(
    backbone=dict(
        type='ResNet',
        depth=50,
        out_indices=(0, 1, 2, 3),
        # The stem alone: the first tap must stay trainable.
        frozen_stages=0,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth',
        ),
    )
)
