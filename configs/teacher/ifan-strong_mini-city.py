_base_ = ['../ifan/ifan_mini-city.py', '../_base_/recipes/teacher.py']
# iFAN by the recipe of teachers. The average spans a tenth of the run.
default_hooks = dict(teacher=dict(_base_.averaging, momentum=0.01))
train_dataloader = dict(
    dataset=dict(
        source=dict(
            pipeline=[
                _base_.load,
                _base_.boxes,
                _base_.flip,
                *_base_.strong_views,
                _base_.pack,
            ]
        ),
        target=dict(
            pipeline=[_base_.load, _base_.flip, *_base_.strong_views, _base_.pack]
        ),
    )
)
