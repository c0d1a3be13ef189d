_base_ = './ifan_r50-dc5_sim10k2city.py'
# Nothing is launched: Faster R-CNN on source alone.
custom_hooks = [dict(type='LateLaunchHook', launch=dict())]
