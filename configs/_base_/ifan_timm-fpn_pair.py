# Everything but the data: iFAN with any trunk of timm and FPN.
_base_ = [
    './models/ifan_timm-fpn.py',
    './datasets/domain_pair.py',
    './schedules/ifan_70k_adamw.py',
]
