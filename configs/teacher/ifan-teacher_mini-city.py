_base_ = './ifan-strong_mini-city.py'
# Soft labels of all outputs on top.
model = dict(alignments=dict(teacher=dict(type='TeacherDistillation')))
default_hooks = dict(
    late_launch=dict(
        launch=dict(
            _delete_=True, image=200, teacher=400, instance=500, correlation=800
        )
    )
)
train_dataloader = dict(
    dataset=dict(target=dict(pipeline=[_base_.load, _base_.flip, _base_.taught_views]))
)
