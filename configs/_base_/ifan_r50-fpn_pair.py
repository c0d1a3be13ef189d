# Everything but the data: iFAN with ResNet-50 and FPN by the paper's recipe.
_base_ = [
    './models/ifan_r50-fpn.py',
    './datasets/domain_pair.py',
    './schedules/ifan_70k.py',
]
