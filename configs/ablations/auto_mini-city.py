_base_ = '../ifan_mini-city.py'
# Each alignment as soon as those before it have gone stable.
default_hooks = dict(
    late_launch=dict(
        when='plateau',
        window=50,
        launch=dict(image=0, instance=(200, 1000), correlation=(600, 1600))))
