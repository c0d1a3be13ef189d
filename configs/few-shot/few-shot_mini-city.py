_base_ = ['../ifan/ifan_mini-city.py', '../_base_/methods/few-shot.py']
model = _base_.method
# A quarter of the paper's cells, in images of 256 x 128 px.
model.alignments.split_pooling.update(scales=(64, 40, 24), max_pairs=(12, 24, 48))
model.alignments.semantic_pairs.update(hidden_channels=(256, 256), max_pairs=32)
# At 1 the detector is too fast: the classifiers stay at chance, and clear scenes
# lose five points.
model.alignments.split_pooling.grl_weight = 0.3
model.alignments.semantic_pairs.grl_weight = 0.3
# From ImageNet, detection first.
default_hooks = dict(
    late_launch=dict(launch=dict(_delete_=True, split_pooling=200, semantic_pairs=400))
)
