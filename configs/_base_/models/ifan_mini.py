# A detector small enough to be trained from scratch on two CPU cores: a narrow
# ResNet-18 with layer normalisation, four taps like its big sisters. Twice as
# wide, it learns less in the same time; with group normalisation it adapts
# less (docs/mini_city_study.md).
_base_ = './ifan_faster-rcnn.py'
tap_channels = (16, 32, 64, 128)
# A quarter of VGG-16's, as the last tap. At full width the classifiers cost
# more than the detector.
hidden_channels = (64, 32)
model = dict(
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=16,
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        out_indices=(0, 1, 2, 3),
        norm_cfg=dict(type='LN2d'),
        norm_eval=False),
    neck=dict(in_channels=tap_channels, hidden_channels=hidden_channels),
    rpn_head=dict(
        in_channels=128,
        feat_channels=64,
        anchor_generator=dict(scales=[1, 2, 4, 8])),
    # mmcv's RoIAlign on the CPU took 60 % of a step at 7x7 with 2x2 samples.
    roi_head=dict(
        bbox_roi_extractor=dict(
            out_channels=128, roi_layer=dict(output_size=4, sampling_ratio=1)),
        bbox_head=dict(
            in_channels=128, roi_feat_size=4, fc_out_channels=256)),
    alignments=dict(
        # Eq. 5 is weighted by probabilities, which are the background's for
        # most proposals: it comes out an order of magnitude below Eq. 3.
        instance=dict(
            in_channels=128, hidden_channels=hidden_channels, loss_weight=1.0),
        correlation=dict(
            in_channels=tap_channels,
            featmap_strides=(4, 8, 16, 16),
            roi_size=4,
            object_cfg=dict(
                score_thr=0.1,
                nms=dict(type='nms', iou_threshold=0.5),
                max_per_img=16))),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=100)))
