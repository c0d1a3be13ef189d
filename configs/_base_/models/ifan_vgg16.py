_base_ = './ifan_faster-rcnn.py'
imagenet = 'https://download.pytorch.org/models/vgg16-397923af.pth'
model = dict(
    backbone=dict(
        type='TappedVGG', init_cfg=dict(type='VGG16Init', checkpoint=imagenet)
    ),
    neck=dict(in_channels=(128, 256, 512, 512)),
    rpn_head=dict(in_channels=512, feat_channels=512),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=512),
        bbox_head=dict(
            in_channels=512,
            # fc6 and fc7 of the ImageNet classifier.
            fc_out_channels=4096,
            init_cfg=[
                dict(type='Normal', std=0.01, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
                dict(type='VGG16Init', checkpoint=imagenet),
            ],
        ),
    ),
)
