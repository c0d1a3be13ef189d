_base_ = '../ifan/ifan_mini-city.py'
# The image level on one tap alone.
model = dict(neck=dict(taps=(1,)))
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True, image=200)))
