_base_ = '../ifan/ifan_mini-city.py'
# Each alignment as soon as those before it have gone stable.
default_hooks = dict(
    late_launch=dict(
        when='plateau',
        window=50,
        launch=dict(image=200, instance=(300, 700), correlation=(500, 900)),
    )
)
