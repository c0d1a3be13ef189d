_base_ = '../ifan/ifan_vgg16_city2foggy.py'
# Each alignment as soon as those before it have gone stable.
default_hooks = dict(
    late_launch=dict(
        when='plateau',
        window=1000,
        launch=dict(image=0, instance=(5000, 40000), correlation=(10000, 60000)),
    )
)
