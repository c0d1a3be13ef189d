_base_ = './ifan_r50-dc5_sim10k2city.py'
# Nothing is launched: Faster R-CNN on source alone.
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True)))
