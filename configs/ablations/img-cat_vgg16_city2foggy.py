_base_ = '../ifan/ifan_vgg16_city2foggy.py'
# Image level and the category-aware instance term: the paper's Table 3.
default_hooks = dict(
    late_launch=dict(launch=dict(_delete_=True, image=0, instance=30000))
)
