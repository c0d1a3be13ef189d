# Everything but the data: iFAN with the small detector from scratch, on a CPU.
_base_ = [
    './models/ifan_mini.py', './datasets/domain_pair.py',
    './schedules/mini.py'
]
