# ResNet-50 with a feature pyramid. Image level and correlation align what the
# backbone gives, C2 to C5; RPN and RoI head work on the pyramid.
_base_ = './ifan_r50.py'
strides = [4, 8, 16, 32]
model = dict(
    neck=dict(_delete_=True, type='FPN', out_channels=256, num_outs=5),
    # mmdet's Faster R-CNN with FPN; the numbers before NMS are a level's.
    rpn_head=dict(
        in_channels=256,
        feat_channels=256,
        anchor_generator=dict(scales=[8], strides=[*strides, 64]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=256, featmap_strides=strides),
        bbox_head=dict(in_channels=256, fc_out_channels=1024),
    ),
    alignments=dict(image=dict(type='HierarchicalDomainHead')),
    train_cfg=dict(rpn_proposal=dict(nms_pre=2000, max_per_img=1000)),
    test_cfg=dict(rpn=dict(nms_pre=1000)),
)
