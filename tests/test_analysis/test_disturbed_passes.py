"""Passes with distributions, disturbed weights and dropped features."""

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from torch import nn
from torch.utils.data import Subset

from mmdet_ifan.analysis.disturbed_passes import (
    detect_with_distributions,
    disturbed_weights,
    dropped_features,
    dropped_inputs,
)
from mmdet_ifan.analysis.label_free_scores import Prototypes
from mmdet_ifan.models import DomainFeatures, TappedVGG, TimmTaps
from mmdet_ifan.utils.errors import DataError

BACKBONES = dict(
    resnet=dict(type='ResNet', depth=18, base_channels=8, out_indices=(0, 1)),
    vgg=dict(type='TappedVGG', depth=11, out_indices=(1, 2)),
    lite=dict(type='TimmTaps', model='tf_efficientnet_lite0'),
    convnext=dict(type='TimmTaps', model='convnext_atto'),
)


@pytest.fixture
def model(tiny_cfg) -> nn.Module:
    model = MODELS.build(tiny_cfg)
    model.init_weights()
    return model.eval()


@pytest.fixture
def images(make_sample) -> Subset:
    generator = torch.Generator().manual_seed(3)
    shapes = [(64, 96), (48, 64), (64, 64)]
    return Subset(
        [
            dict(
                inputs=torch.randint(
                    0, 256, (3, *shape), generator=generator, dtype=torch.uint8
                ),
                data_samples=make_sample(shape, shape),
            )
            for shape in shapes
        ],
        range(3),
    )


def test_finds_what_testing_finds(model, images):
    for (found, sample), item in zip(
        detect_with_distributions(model, images), images, strict=True
    ):
        assert sample.img_shape == item['data_samples'].img_shape
        batch = model.data_preprocessor(
            dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
        )
        (expected,) = model.predict(
            batch['inputs'], batch['data_samples'], rescale=False
        )
        expected = expected.pred_instances.numpy()
        assert len(found.boxes) > 0
        np.testing.assert_allclose(found.boxes, expected.bboxes, atol=1e-4)
        assert (found.labels == expected.labels).all()
        probs = np.exp(found.log_probs)
        np.testing.assert_allclose(probs.sum(axis=1), 1)
        # Each distribution is that of its own detection.
        np.testing.assert_allclose(
            probs[range(len(probs)), found.labels], expected.scores, rtol=1e-4
        )


def test_prototypes_are_of_all_proposals(model, images):
    prototypes = Prototypes()
    list(detect_with_distributions(model, images, prototypes=prototypes))
    features, probs = [], []
    for item in images:
        batch = model.data_preprocessor(
            dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
        )
        with torch.no_grad():
            found = DomainFeatures(
                model, batch['inputs'], batch['data_samples']
            ).proposals
        features.append(found.roi_feats.mean((2, 3)).numpy())
        probs.append(found.cls_score.softmax(1).numpy())
    features, probs = np.concatenate(features), np.concatenate(probs)
    for k in range(4):
        expected = sum(p[k] * f for f, p in zip(features, probs, strict=True))
        np.testing.assert_allclose(
            prototypes.centres()[k], expected / probs[:, k].sum(), rtol=1e-4, atol=1e-6
        )


def states(model: nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


@pytest.mark.parametrize('mode', ['relative', 'das'])
def test_weights_are_disturbed_and_put_back(model, mode):
    before = states(model)
    clean = {name: w.detach().clone() for name, w in model.named_parameters()}
    with pytest.raises(KeyError), disturbed_weights(model, 0.5, mode, 0, 0):
        steps = {name: w.detach() - clean[name] for name, w in model.named_parameters()}
        raise KeyError
    assert states(model) == before
    for name, step in steps.items():
        if name.startswith(('neck.', 'alignments.')):
            # What testing does not use is left alone.
            assert not step.any(), name
        elif mode == 'relative':
            expected = 0.5 * float(clean[name].norm())
            assert float(step.norm()) == pytest.approx(expected, rel=1e-3)
    whole = torch.cat([step.flatten() for step in steps.values()])
    if mode == 'das':
        assert float(whole.norm()) == pytest.approx(0.5, rel=1e-3)
        assert (whole >= 0).all()


def test_draws_depend_on_seed_repeat_and_name_alone(model):
    def directions(seed, repeat):
        clean = {name: w.detach().clone() for name, w in model.named_parameters()}
        with disturbed_weights(model, 0.1, 'relative', seed, repeat):
            steps = [w.detach() - clean[n] for n, w in model.named_parameters()]
        return [step / step.norm() for step in steps if step.any()]

    first = directions(0, 0)
    for parameter in model.parameters():
        parameter.data *= 3
    torch.manual_seed(5)
    for one, other in zip(first, directions(0, 0), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)
    for others in directions(1, 0), directions(0, 1):
        assert not torch.allclose(first[0], others[0], atol=0.01)


@pytest.mark.parametrize('name', BACKBONES)
def test_dropped_are_the_maps_of_strides_4_and_8(name):
    backbone = MODELS.build(BACKBONES[name])
    backbone.eval()
    read = []
    for module in dropped_inputs(backbone):
        module.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    with torch.no_grad():
        taps = backbone(torch.randn(1, 3, 64, 96))[:2]
    assert [tap.shape[-1] for tap in taps] == [24, 12]
    for tap, seen in zip(taps, read, strict=True):
        assert torch.equal(tap, seen)


def test_place_does_not_depend_on_the_taps():
    # An exported detector has the last tap alone.
    for many, one, index in (
        (TappedVGG(11), TappedVGG(11, out_indices=(4,)), 'features'),
        (
            TimmTaps('tf_efficientnet_lite0', ('blocks.1', 'blocks.2', 'blocks.4')),
            TimmTaps('tf_efficientnet_lite0', ('blocks.4',)),
            'net.blocks',
        ),
    ):
        places = [
            [
                list(backbone.get_submodule(index)).index(module)
                for module in dropped_inputs(backbone)
            ]
            for backbone in (many, one)
        ]
        assert places[0] == places[1]


def test_backbone_without_such_strides():
    vit = TimmTaps('vit_tiny_patch16_224', ('blocks.3',), dynamic_img_size=True)
    for backbone in (vit, nn.Conv2d(3, 3, 1)):
        with pytest.raises(DataError, match='leave bos out'):
            dropped_inputs(backbone)


def test_features_are_dropped_and_nothing_else(model, images):
    before = [found for found, _ in detect_with_distributions(model, images)]
    read = []
    # After the hook that drops, so it sees what the stages read.
    for _ in range(2):
        with dropped_features(model, 0.3, 0, 0):
            handles = [
                module.register_forward_pre_hook(lambda _, x: read.append(x[0].clone()))
                for module in dropped_inputs(model.backbone)
            ]
            assert not any(module.training for module in model.modules())
            list(detect_with_distributions(model, images))
        for handle in handles:
            handle.remove()
    # Three images, two stages, twice the same.
    assert len(read) == 12
    for one, other in zip(read[:6], read[6:], strict=True):
        assert torch.equal(one, other)
    with torch.no_grad():
        image = model.data_preprocessor(
            dict(inputs=[images[0]['inputs']], data_samples=[images[0]['data_samples']])
        )['inputs']
        clean = model.backbone(image)[0]
    # The first tap is what the second stage reads.
    kept = read[0] != 0
    alive = clean != 0
    assert float(kept[alive].float().mean()) == pytest.approx(0.7, abs=0.05)
    torch.testing.assert_close(read[0][kept], clean[kept] / 0.7)
    after = [found for found, _ in detect_with_distributions(model, images)]
    for one, other in zip(before, after, strict=True):
        assert one.boxes.tobytes() == other.boxes.tobytes()
