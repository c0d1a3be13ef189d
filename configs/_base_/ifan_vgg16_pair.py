# Everything but the data: iFAN with VGG-16 by the paper's recipe.
_base_ = [
    './models/ifan_vgg16.py',
    './datasets/domain_pair.py',
    './schedules/ifan_70k.py',
]
