# Few-shot (FAFRCNN, its unsupervised variant; Wang et al., CVPR 2019): pairs of
# cells and of objects. Pairs are of different images: batches of two or more.
#
# A config of iFAN with one feature map becomes one of this method:
#
#     _base_ = ['IFAN_CONFIG.py', 'mmdet_ifan::_base_/methods/few-shot.py']
#     model = _base_.method
#     default_hooks = _base_.launches
method = dict(
    neck=dict(_delete_=True, type='LastTap'),
    alignments=dict(
        _delete_=True,
        split_pooling=dict(type='SplitPoolingHead'),
        semantic_pairs=dict(type='SemanticPairHead'),
    ),
)
launches = dict(
    late_launch=dict(launch=dict(_delete_=True, split_pooling=0, semantic_pairs=15000))
)
