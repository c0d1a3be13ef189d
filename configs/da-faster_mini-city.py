_base_ = './ifan_mini-city.py'
# Image level, instance level and their consistency (Chen et al., CVPR 2018).
model = dict(
    neck=dict(_delete_=True, type='LastTap'),
    alignments=dict(
        _delete_=True,
        da_faster=dict(
            type='DAFasterHead',
            in_channels=112,
            instance_channels=256,
            image_channels=128,
            hidden_channels=256)))
default_hooks = dict(
    late_launch=dict(launch=dict(_delete_=True, da_faster=200)))
