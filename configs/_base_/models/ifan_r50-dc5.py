_base_ = './ifan_r50.py'
model = dict(
    # The paper taps res5c as a feature map of the whole image: the last stage
    # is dilated instead of strided (DC5).
    backbone=dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)),
    neck=dict(in_channels=(256, 512, 1024, 2048)),
    rpn_head=dict(in_channels=2048, feat_channels=2048),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=2048),
        bbox_head=dict(in_channels=2048, fc_out_channels=1024),
    ),
)
