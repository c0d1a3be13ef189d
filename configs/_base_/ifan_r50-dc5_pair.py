# Everything but the data: iFAN with ResNet-50 by the paper's recipe.
_base_ = [
    './models/ifan_r50-dc5.py',
    './datasets/domain_pair.py',
    './schedules/ifan_70k.py',
]
