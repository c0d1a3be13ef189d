_base_ = ['../ifan/ifan_mini-city.py', '../_base_/methods/few-shot.py']
model = _base_.method
# A quarter of the paper's cells, in images of 256 x 128 px.
model.alignments.split_pooling.update(
    scales=(64, 40, 24), max_pairs=(12, 24, 48), hidden_channels=(64, 32)
)
model.alignments.semantic_pairs.update(hidden_channels=(256, 256), max_pairs=32)
# From ImageNet, detection first.
default_hooks = dict(
    late_launch=dict(launch=dict(_delete_=True, split_pooling=200, semantic_pairs=400))
)
