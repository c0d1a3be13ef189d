# Mini Sim to Mini City (clear), category car: the embedded twin of SIM10K to
# Cityscapes. Rendered by tools/prepare/mini_sim.py and mini_city.py, prepared
# by tools/prepare/sim10k.py and cityscapes.py.
_base_ = './mini-city.py'
source_root = 'data/mini_sim/'
metainfo = dict(classes=('car',), palette=[(0, 0, 142)])
train_dataloader = dict(
    dataset=dict(
        source=dict(data_root=source_root, metainfo=metainfo),
        target=dict(images='annotations/instances_train.json'),
    )
)
val_dataloader = dict(
    dataset=dict(
        source=dict(data_root=source_root, metainfo=metainfo),
        target=dict(metainfo=metainfo, ann_file='annotations/instances_val.json'),
    )
)
test_dataloader = val_dataloader
