# Any trunk of timm with a feature pyramid: name the model. Its taps of strides
# 4 to 32, and their channels, are read from it. Swin needs
# dynamic_img_size=True as well.
_base_ = './ifan_r50-fpn.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmTaps',
        model='convnext_tiny.in12k_ft_in1k',
        # timm downloads its own weights.
        init_cfg=dict(type='TimmInit'),
    )
)
