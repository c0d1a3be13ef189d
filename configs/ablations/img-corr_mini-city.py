_base_ = '../ifan/ifan_mini-city.py'
# Image level and correlation.
default_hooks = dict(
    late_launch=dict(launch=dict(_delete_=True, image=200, correlation=800))
)
