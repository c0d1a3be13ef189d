_base_ = './ifan_vgg16_city2foggy.py'
# Nothing is launched: Faster R-CNN on source alone.
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True)))
