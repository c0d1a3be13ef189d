_base_ = './ifan_mini-city.py'
# One global domain classifier on the last tap.
model = dict(
    neck=dict(_delete_=True, type='LastTap'),
    alignments=dict(
        _delete_=True,
        adda=dict(
            type='GlobalDomainHead', in_channels=112, hidden_channels=64)))
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True, adda=200)))
