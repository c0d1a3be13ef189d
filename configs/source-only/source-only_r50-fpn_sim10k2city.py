_base_ = ['../ifan/ifan_r50-fpn_sim10k2city.py', '../_base_/methods/source-only.py']
default_hooks = _base_.launches
