_base_ = 'mmdet_ifan::_base_/ifan_mini_pair.py'
classes = ('cat', 'dog')
source = dict(data_root='data/my_pair/source/', metainfo=dict(classes=classes))
target = dict(data_root='data/my_pair/target/', metainfo=dict(classes=classes))
model = dict(roi_head=dict(bbox_head=dict(num_classes=len(classes))))
train_dataloader = dict(dataset=dict(
    source=dict(ann_file='annotations/instances_train.json', **source),
    target=dict(images='train', **target)))
val_dataloader = dict(dataset=dict(
    source=dict(ann_file='annotations/instances_val.json', **source),
    target=dict(ann_file='annotations/instances_val.json', **target)))
test_dataloader = val_dataloader
