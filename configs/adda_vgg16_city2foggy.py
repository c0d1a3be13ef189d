_base_ = './ifan_vgg16_city2foggy.py'
# One global domain classifier on the last tap.
model = dict(
    neck=dict(_delete_=True, type='LastTap'),
    alignments=dict(
        _delete_=True, adda=dict(type='GlobalDomainHead', in_channels=512)))
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True, adda=0)))
