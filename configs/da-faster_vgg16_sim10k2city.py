_base_ = './ifan_vgg16_sim10k2city.py'
# Image level, instance level and their consistency (Chen et al., CVPR 2018).
model = dict(
    neck=dict(_delete_=True, type='LastTap'),
    alignments=dict(
        _delete_=True,
        da_faster=dict(
            type='DAFasterHead', in_channels=512, instance_channels=4096)))
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True, da_faster=0)))
