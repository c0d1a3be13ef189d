_base_ = '../ifan/ifan_mini-city.py'
# The category-aware instance term from iteration 350 on.
default_hooks = dict(
    late_launch=dict(launch=dict(_delete_=True, image=200, instance=350))
)
