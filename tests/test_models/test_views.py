"""What terms may ask of a domain beyond its features: pixels, views, a teacher."""

import copy
import gc

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from torch import Tensor, nn

from mmdet_ifan.models import AdaptationTerm, DomainFeatures, IFANDetector


@MODELS.register_module()
class Listener(AdaptationTerm):
    """Keeps what it is given."""

    def loss(self, source: DomainFeatures, target: DomainFeatures) -> dict[str, Tensor]:
        self.given = dict(source=source, target=target)
        return dict(loss=source.taps[0].sum() * 0)


@pytest.fixture
def detector(tiny_cfg: ConfigDict) -> IFANDetector:
    tiny_cfg.neck = dict(type='LastTap')
    tiny_cfg.alignments = dict(listener=dict(type='Listener'))
    return MODELS.build(tiny_cfg).train()


@pytest.fixture
def teacher(detector: IFANDetector) -> IFANDetector:
    """A teacher that sees other things than the detector, which follows it."""
    teacher = copy.deepcopy(detector).requires_grad_(False).eval()
    nn.init.normal_(teacher.roi_head.bbox_head.fc_cls.weight, std=0.3)
    detector.follow(teacher)
    return teacher


def given(detector: IFANDetector, inputs: dict, samples: dict) -> dict:
    """What a step gives the terms."""
    detector.loss(inputs, samples)
    return detector.alignments.listener.given


def test_pixels_undo_the_normalisation(detector):
    generator = torch.Generator().manual_seed(0)
    images = [
        torch.randint(256, (3, 40, 50), dtype=torch.uint8, generator=generator)
        for _ in range(2)
    ]
    samples = [DetDataSample(metainfo=dict(img_shape=(40, 50))) for _ in images]
    data = detector.data_preprocessor(
        dict(inputs=dict(target=images), data_samples=dict(target=samples)),
        training=True,
    )
    pixels = DomainFeatures(detector, data['inputs']['target'], samples).pixels
    # BGR on the disk, RGB in the detector.
    expected = torch.stack(images).flip(1) / 255 * 2 - 1
    torch.testing.assert_close(pixels, expected, rtol=0, atol=1e-5)
    assert pixels.min() == pytest.approx(-1, abs=1e-5)
    assert pixels.max() == pytest.approx(1, abs=1e-5)


def test_pixels_of_images_that_are_not_normalised(tiny_cfg):
    preprocessor = tiny_cfg.data_preprocessor.data_preprocessor
    preprocessor.mean = preprocessor.std = None
    detector = MODELS.build(tiny_cfg)
    images = torch.tensor([0.0, 127.5, 255.0]).reshape(1, 3, 1, 1)
    pixels = DomainFeatures(detector, images, []).pixels
    assert pixels.flatten().tolist() == [-1, 0, 1]


# Views


def test_further_branches_are_views(detector, make_batch):
    inputs, samples = make_batch()
    for branch in ('target_teacher', 'target_strong', 'source_strong'):
        domain = branch.split('_')[0]
        inputs[branch] = inputs[domain] + 1
        samples[branch] = copy.deepcopy(samples[domain])
    domains = given(detector, inputs, samples)
    assert list(domains['source'].views) == ['strong']
    assert list(domains['target'].views) == ['teacher', 'strong']
    strong = domains['target'].views['strong']
    assert strong.batch_inputs is inputs['target_strong']
    assert strong.data_samples is samples['target_strong']
    # The detector itself looks at it, with gradient.
    assert strong.feats[0].requires_grad
    assert not torch.equal(strong.feats[0], domains['target'].feats[0])


def test_views_change_no_other_loss(tiny_cfg, make_batch):
    detector = MODELS.build(tiny_cfg).train()
    inputs, samples = make_batch()
    torch.manual_seed(3)
    plain = detector.parse_losses(detector.loss(inputs, samples))[1]
    inputs['target_strong'] = torch.rand_like(inputs['target'])
    samples['target_strong'] = samples['target']
    torch.manual_seed(3)
    assert detector.parse_losses(detector.loss(inputs, samples))[1] == plain


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('img_shape', (48, 60)),
        ('scale_factor', (2.0, 2.0)),
        ('flip', True),
        ('flip_direction', 'horizontal'),
    ],
)
def test_a_view_of_another_geometry(detector, make_batch, key, value):
    inputs, samples = make_batch()
    for sample in samples['target']:
        sample.set_metainfo(dict(flip=False, flip_direction=None))
    inputs['target_strong'] = inputs['target']
    samples['target_strong'] = copy.deepcopy(samples['target'])
    detector.loss(inputs, samples)
    samples['target_strong'][1].set_metainfo({key: value})
    with pytest.raises(ValueError, match=f'^{key} of an image is .* view strong: put'):
        detector.loss(inputs, samples)


# The teacher


def test_without_a_hook_there_is_no_teacher(detector, make_batch):
    domains = given(detector, *make_batch())
    assert domains['source'].teacher is None
    assert domains['target'].teacher is None


@pytest.mark.parametrize('view', [False, True])
def test_a_teacher_sees_the_same_images_or_its_view(
    detector, teacher, make_batch, view
):
    inputs, samples = make_batch()
    seen = inputs['target']
    if view:
        seen = inputs['target_teacher'] = inputs['target'] + 0.5
        samples['target_teacher'] = copy.deepcopy(samples['target'])
    taught = given(detector, inputs, samples)['target'].teacher
    with torch.no_grad():
        feats = teacher.extract_feat(seen)
    assert torch.equal(taught.feats[0], feats[0])
    assert torch.equal(
        taught.proposals.cls_score,
        teacher.roi_head._bbox_forward(feats, taught.proposals.rois)['cls_score'],
    )
    for part in (taught.feats[0], taught.proposals.vectors, taught.proposals.roi_feats):
        assert not part.requires_grad


def test_the_student_pools_the_teachers_boxes_with_gradient(
    detector, teacher, make_batch
):
    target = given(detector, *make_batch())['target']
    boxes = [box[:5] for box in target.teacher.proposal_boxes]
    pooled = target.pool(boxes)
    assert pooled.num_per_img == [5, 5]
    assert torch.equal(pooled.rois[:, 1:], torch.cat(boxes))
    pooled.cls_score.sum().backward()
    assert detector.backbone.conv1.weight.grad.any()
    assert all(p.grad is None for p in teacher.parameters())


def test_a_teacher_is_no_part_of_the_detector(detector, make_batch):
    before = list(detector.state_dict())
    modules = sum(1 for _ in detector.modules())
    teacher = copy.deepcopy(detector).requires_grad_(False).eval()
    detector.follow(teacher)
    assert detector.teacher is teacher
    assert list(detector.state_dict()) == before
    assert sum(1 for _ in detector.modules()) == modules
    # Not even a copy holds one of its own.
    assert copy.deepcopy(detector).teacher is teacher
    del teacher
    gc.collect()
    assert detector.teacher is None
