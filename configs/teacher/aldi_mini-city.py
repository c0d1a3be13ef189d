_base_ = './teacher_mini-city.py'
# ALDI++: the student's view is masked as well. A block is as large as a cell.
mask = dict(type='BlockMask', block_size=16)
masked = dict(target_student=[*_base_.strong_colours, mask, _base_.pack])
train_dataloader = dict(
    dataset=dict(
        target=dict(
            pipeline=[_base_.load, _base_.flip, dict(_base_.taught_views, **masked)]
        )
    )
)
