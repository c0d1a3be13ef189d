"""What a mean teacher's terms compute: soft labels, loop by loop, and hard ones."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdet_ifan.models import (
    DomainFeatures,
    IFANDetector,
    PseudoLabelHead,
    TeacherDistillation,
)

OUTPUTS = ('objectness', 'rpn_box', 'category', 'box')
SOFT, HARD = 'TeacherDistillation', 'PseudoLabelHead'


@pytest.fixture
def build(tiny_cfg: ConfigDict) -> Callable[..., IFANDetector]:
    """Maker of a detector with one term, which sees something everywhere."""

    def make(kind: str, pyramid: bool = False, **settings: object) -> IFANDetector:
        tiny_cfg.neck = dict(type='LastTap')
        if pyramid:
            tiny_cfg.neck = dict(
                type='FPN', in_channels=[16, 32], out_channels=64, num_outs=2
            )
            tiny_cfg.backbone.update(strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1))
            tiny_cfg.backbone.out_indices = (1, 2)
            tiny_cfg.rpn_head.anchor_generator.strides = [8, 16]
            tiny_cfg.roi_head.bbox_roi_extractor.featmap_strides = [8, 16]
        tiny_cfg.alignments = dict(teacher=dict(type=kind, score_thr=0.4, **settings))
        detector = MODELS.build(copy.deepcopy(tiny_cfg)).train()
        detector.init_weights()
        confuse(detector)
        return detector

    return make


def confuse(detector: IFANDetector) -> None:
    """Spread what the four layers of the output say."""
    head = detector.roi_head.bbox_head
    for layer in (detector.rpn_head.rpn_cls, detector.rpn_head.rpn_reg):
        nn.init.normal_(layer.weight, std=0.1)
    nn.init.normal_(head.fc_cls.weight, std=0.5)
    nn.init.normal_(head.fc_reg.weight, std=0.1)


def follow(detector: IFANDetector, same: bool = False) -> IFANDetector:
    """Give a detector a teacher, which the caller keeps."""
    teacher = copy.deepcopy(detector).requires_grad_(False).eval()
    if not same:
        confuse(teacher)
    detector.follow(teacher)
    return teacher


@pytest.fixture
def batch(make_batch: Callable) -> tuple[dict, dict]:
    """A batch with both views of the target."""
    inputs, samples = make_batch()
    for view, shift in (('teacher', 0.1), ('student', -0.2)):
        inputs[f'target_{view}'] = inputs['target'] + shift
        samples[f'target_{view}'] = copy.deepcopy(samples['target'])
    return inputs, samples


def of_teacher(losses: dict) -> dict[str, Tensor]:
    """Pick the term's values."""
    return {
        key.removeprefix('teacher/'): value
        for key, value in losses.items()
        if key.startswith('teacher/')
    }


def remembered_states(detector: IFANDetector) -> list[Tensor]:
    """Remember torch's random state whenever the term begins."""
    states, term = [], detector.alignments.teacher

    def loss(*domains: object, loss: Callable = term.loss) -> dict:
        states.append(torch.get_rng_state())
        return loss(*domains)

    term.loss = loss
    return states


# Soft labels


def by_anchor(maps: Tensor, size: int) -> Tensor:
    """Order one level's maps of an image as anchors, one by one."""
    channels, height, width = maps.shape
    return torch.stack(
        [
            maps[a * size : (a + 1) * size, y, x]
            for y in range(height)
            for x in range(width)
            for a in range(channels // size)
        ]
    )


def cross_entropy(logits: Tensor, probs: Tensor) -> Tensor:
    """Compute a cross-entropy, class by class."""
    total = sum(math.exp(z) for z in logits.tolist())
    return -sum(
        p * math.log(math.exp(z) / total)
        for p, z in zip(probs.tolist(), logits.tolist(), strict=True)
    )


def expected_losses(
    detector: IFANDetector, teacher: IFANDetector, batch: tuple, temperature: float
) -> dict[str, float]:
    """Compute the four losses, and the values that are logged, by loops.

    The random numbers are drawn in the order of training: for the anchors of
    each image, then for the proposals of each.
    """
    inputs, samples = batch
    metas = [sample.metainfo for sample in samples['target_student']]
    seen = detector.extract_feat(inputs['target_student'])
    taught = teacher.extract_feat(inputs['target_teacher'])
    outputs, taught_outputs = detector.rpn_head(seen), teacher.rpn_head(taught)
    found = teacher.predict(
        inputs['target_teacher'],
        copy.deepcopy(samples['target_teacher']),
        rescale=False,
    )
    pseudo = []
    for sample in found:
        instances = sample.pred_instances
        kept = [i for i, score in enumerate(instances.scores) if score > 0.4]
        pseudo.append(
            InstanceData(
                bboxes=instances.bboxes[kept],
                labels=instances.labels[kept],
                scores=instances.scores[kept],
            )
        )
    scores = torch.cat([image.scores for image in pseudo])
    head = detector.rpn_head
    anchors = torch.cat(
        head.prior_generator.grid_priors(
            [level.shape[-2:] for level in seen], device='cpu'
        )
    )
    terms: dict[str, list[float]] = {name: [] for name in OUTPUTS}
    for i, instances in enumerate(pseudo):
        priors = InstanceData(priors=anchors)
        sampled = head.sampler.sample(
            head.assigner.assign(priors, instances), priors, instances
        )
        (logits, deltas), (taught_logits, taught_deltas) = (
            [
                torch.cat([by_anchor(level[i], size) for level in levels])
                for size, levels in zip((1, 4), maps, strict=True)
            ]
            for maps in (outputs, taught_outputs)
        )
        for a in torch.cat([sampled.pos_inds, sampled.neg_inds]).tolist():
            prob = 1 / (1 + math.exp(-taught_logits[a] / temperature))
            guess = 1 / (1 + math.exp(-logits[a]))
            terms['objectness'].append(
                -prob * math.log(guess) - (1 - prob) * math.log(1 - guess)
            )
        for a in sampled.pos_inds.tolist():
            terms['rpn_box'] += [
                abs(d - t) for d, t in zip(deltas[a], taught_deltas[a], strict=True)
            ]
    proposals = head.predict_by_feat(
        *outputs, batch_img_metas=metas, cfg=detector.train_cfg.rpn_proposal
    )
    for i, instances in enumerate(pseudo):
        roi_head = detector.roi_head
        priors = InstanceData(priors=proposals[i].bboxes)
        sampled = roi_head.bbox_sampler.sample(
            roi_head.bbox_assigner.assign(priors, instances), priors, instances
        )
        for box in sampled.priors:
            roi = torch.cat([torch.tensor([float(i)]), box])[None]
            ours = roi_head._bbox_forward(seen, roi)
            theirs = teacher.roi_head._bbox_forward(taught, roi)
            wanted = (theirs['cls_score'][0] / temperature).softmax(0)
            terms['category'].append(cross_entropy(ours['cls_score'][0], wanted))
            best = int(theirs['cls_score'][0].argmax())
            terms['box'].append(0.0)
            if best < 3:
                place = slice(4 * best, 4 * best + 4)
                terms['box'][-1] = sum(
                    abs(d - t).item()
                    for d, t in zip(
                        ours['bbox_pred'][0, place],
                        theirs['bbox_pred'][0, place],
                        strict=True,
                    )
                )
    expected = {
        f'loss_{name}': sum(map(float, values)) / len(values)
        for name, values in terms.items()
    }
    return dict(
        expected,
        foreground=sum(v > 0 for v in terms['box']) / len(terms['box']),
        pseudo_boxes=len(scores) / 2,
        mean_score=scores.mean().item(),
    )


@pytest.mark.parametrize(('temperature', 'pyramid'), [(1, False), (0.5, True)])
def test_four_losses_one_by_one(build, batch, temperature, pyramid):
    detector = build(SOFT, pyramid, temperature=temperature)
    teacher = follow(detector)
    states = remembered_states(detector)
    with torch.no_grad():
        losses = of_teacher(detector.loss(*batch))
        # What the term has drawn, after the detection loss.
        torch.set_rng_state(states[0])
        expected = expected_losses(detector, teacher, batch, temperature)
    assert losses.keys() == expected.keys()
    assert expected['pseudo_boxes'] > 2 and expected['foreground'] < 1
    for key, value in losses.items():
        assert expected[key] > 0
        assert value.item() == pytest.approx(expected[key], rel=1e-6, abs=1e-6), key


def test_weights_of_the_outputs(build, batch):
    weights = dict(zip(OUTPUTS, (0.5, 2.0, 0.0, 3.0), strict=True))
    losses = []
    for settings in (
        {},
        dict(loss_weight=2.0, **{f'{name}_weight': w for name, w in weights.items()}),
    ):
        torch.manual_seed(0)
        detector = build(SOFT, **settings)
        teacher = follow(detector)
        losses.append(of_teacher(detector.loss(*batch)))
        assert detector.teacher is teacher
    for name, weight in weights.items():
        plain, weighted = (values[f'loss_{name}'] for values in losses)
        torch.testing.assert_close(weighted, 2 * weight * plain)


def test_a_teacher_that_is_the_student_teaches_nothing(build, batch):
    """Of the same view, no gradient is left but rounding."""
    inputs, samples = batch
    inputs['target_teacher'] = inputs['target_student']
    norms = {}
    for same in (True, False):
        detector = build(SOFT)
        teacher = follow(detector, same)
        losses = of_teacher(detector.loss(inputs, samples))
        assert losses['pseudo_boxes'] > 1
        if same:
            assert losses['loss_rpn_box'] == losses['loss_box'] == 0
        sum(losses[f'loss_{name}'] for name in OUTPUTS).backward()
        assert all(p.grad is None for p in teacher.parameters())
        norms[same] = {
            name: p.grad.abs().max().item()
            for name, p in detector.named_parameters()
            if p.grad is not None
        }
    assert {'backbone.conv1.weight', 'rpn_head.rpn_reg.bias'} <= set(norms[True])
    assert max(norms[True].values()) < 1e-6
    assert norms[False].keys() == norms[True].keys()
    assert norms[False]['backbone.conv1.weight'] > 0.1


# Both


@pytest.mark.parametrize('kind', [SOFT, HARD])
def test_each_looks_at_its_own_view(build, batch, kind):
    """And nobody at the view that alignments compare with source."""
    detector = build(kind)
    teacher = follow(detector)
    inputs, samples = batch
    inputs = {name: images.requires_grad_() for name, images in inputs.items()}
    seen = {}
    for name, model in (('student', detector), ('teacher', teacher)):
        model.backbone.register_forward_pre_hook(
            lambda _, x, name=name: seen.setdefault(name, []).append(x[0])
        )
    values = of_teacher(detector.loss(inputs, samples))
    expected = dict(
        student=[inputs['source'], inputs['target_student']],
        teacher=[inputs['target_teacher']],
    )
    assert {name: places(images) for name, images in seen.items()} == {
        name: places(images) for name, images in expected.items()
    }
    sum(value for key, value in values.items() if 'loss' in key).backward()
    assert inputs['target_student'].grad.any()
    assert all(
        images.grad is None for name, images in inputs.items() if 'student' not in name
    )


def places(batches: list[Tensor]) -> list[int]:
    """Where batches lie in memory."""
    return [batch.data_ptr() for batch in batches]


def test_they_add_no_network(build, tiny_cfg):
    taught = build(SOFT)
    tiny_cfg.alignments = {}
    assert list(taught.state_dict()) == list(MODELS.build(tiny_cfg).state_dict())


@pytest.mark.parametrize('kind', [SOFT, HARD])
@pytest.mark.parametrize('lacking', ['pseudo boxes', 'proposals'])
def test_with_nothing_to_learn_from(build, batch, kind, lacking):
    detector = build(kind, **dict(box_losses=True) if kind == HARD else {})
    if lacking == 'proposals':
        # Neither has one. The detection loss has the true boxes.
        for cfg in (detector.train_cfg.rpn_proposal, detector.test_cfg.rpn):
            cfg.min_bbox_size = 1000
    else:
        detector.alignments.teacher.score_thr = 1 - 1e-9
    teacher = follow(detector)
    assert not teacher.training
    losses = of_teacher(detector.loss(*batch))
    assert losses['pseudo_boxes'] == losses['mean_score'] == 0
    gone = {'loss_rpn_box'} | (
        {'loss_category', 'loss_box'} if lacking == 'proposals' else set()
    )
    if kind == HARD:
        gone.add('loss_box')
    for key in (f'loss_{name}' for name in OUTPUTS):
        assert losses[key].requires_grad and losses[key].isfinite()
        assert (losses[key] == 0) == (key in gone), key
    sum(losses[f'loss_{name}'] for name in OUTPUTS).backward()
    for name, parameter in detector.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


@pytest.mark.parametrize('kind', [SOFT, HARD])
def test_a_box_without_an_area_does_not_count(build, batch, kind, monkeypatch):
    detect = DomainFeatures.detect

    def clipped(self: DomainFeatures, cfg: ConfigDict) -> list:
        objects = detect(self, cfg)
        assert all(len(image) for image in objects)
        for image in objects:
            image.bboxes[:, 2] = image.bboxes[:, 0]
        return objects

    monkeypatch.setattr(DomainFeatures, 'detect', clipped)
    detector = build(kind, **dict(box_losses=True) if kind == HARD else {})
    teacher = follow(detector)
    assert not teacher.training
    losses = of_teacher(detector.loss(*batch))
    assert losses['pseudo_boxes'] == 0
    assert all(losses[f'loss_{name}'].isfinite() for name in OUTPUTS)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('kind', [SOFT, HARD])
def test_mixed_precision(build, batch, kind, dtype):
    """Logits and deltas are compared in single precision."""
    detector = build(kind)
    teacher = follow(detector)
    kinds = set()
    for model in (detector, teacher):
        for head in (model.rpn_head, model.roi_head.bbox_head):
            head.register_forward_hook(
                lambda _, x, y: kinds.update(values.dtype for values in flat(y))
            )
    losses = []
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast('cpu', dtype, enabled=enabled):
            losses.append(of_teacher(detector.loss(*batch)))
    assert kinds == {torch.float32}
    for key, value in losses[1].items():
        assert value.dtype == torch.float32
        # Other anchors and proposals may be drawn.
        torch.testing.assert_close(value, losses[0][key], rtol=0.1, atol=0.02)
    sum(value for key, value in losses[1].items() if 'loss' in key).backward()
    for name, parameter in detector.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def flat(outputs: object) -> list[Tensor]:
    """List the tensors in lists and tuples."""
    if isinstance(outputs, Tensor):
        return [outputs]
    return [tensor for part in outputs for tensor in flat(part)]


# Hard labels


def labelled(teacher: IFANDetector, batch: tuple) -> list:
    """Label the student's images with what the teacher finds in its own."""
    inputs, samples = batch
    teacher.test_cfg.rcnn.score_thr = 0.4
    found = teacher.predict(
        inputs['target_teacher'],
        copy.deepcopy(samples['target_teacher']),
        rescale=False,
    )
    images = copy.deepcopy(samples['target_student'])
    for image, sample in zip(images, found, strict=True):
        image.gt_instances = InstanceData(
            bboxes=sample.pred_instances.bboxes, labels=sample.pred_instances.labels
        )
    assert sum(len(image.gt_instances) for image in images) > 4
    return images


NAMES = dict(
    objectness='loss_rpn_cls',
    rpn_box='loss_rpn_bbox',
    category='loss_cls',
    box='loss_bbox',
)


@pytest.mark.parametrize('box_losses', [False, True])
def test_hard_labels_are_learnt_as_true_ones(build, batch, box_losses):
    """As mmdet's Faster R-CNN, bit for bit."""
    detector = build(HARD, box_losses=box_losses, loss_weight=0.5)
    teacher = follow(detector)
    states = remembered_states(detector)
    losses = of_teacher(detector.loss(*batch))
    images = labelled(teacher, batch)
    torch.set_rng_state(states[0])
    expected = super(IFANDetector, detector).loss(batch[0]['target_student'], images)
    assert losses.keys() == {
        *(
            f'loss_{name}'
            for name in NAMES
            if box_losses or name in ('objectness', 'category')
        ),
        'pseudo_boxes',
        'mean_score',
    }
    for name, key in NAMES.items():
        if f'loss_{name}' in losses:
            value = expected[key]
            value = sum(value) if isinstance(value, list) else value
            assert torch.equal(losses[f'loss_{name}'], 0.5 * value)
    assert losses['pseudo_boxes'] == sum(len(i.gt_instances) for i in images) / 2


def test_weights_are_the_students_scores(build, batch):
    """One by one, of the same anchors and proposals."""
    losses, compared = {}, []
    for weighted in (True, False):
        torch.manual_seed(0)
        detector = build(HARD, weight_by_score=weighted)
        teacher = follow(detector)
        torch.manual_seed(3)
        if not weighted:
            for head in (detector.rpn_head, detector.roi_head.bbox_head):
                head.loss_cls.register_forward_hook(
                    lambda _, x, kwargs, y: compared.append((*x, kwargs['avg_factor'])),
                    with_kwargs=True,
                )
        losses[weighted] = of_teacher(detector.loss(*batch))
        assert detector.teacher is teacher
    # Those before are of the detection loss on source.
    (objectness, *anchors), (logits, *proposals) = compared[2:]
    # For mmdet's RPN, 0 is an object.
    own = torch.stack([objectness[:, 0], torch.zeros(len(objectness))], dim=1)
    for key, scores, (labels, weights, number), sure in (
        ('loss_objectness', own, anchors, objectness[:, 0].sigmoid()),
        ('loss_category', logits, proposals, logits.softmax(1).max(1).values),
    ):
        rows = weights.nonzero()[:, 0].tolist()
        probs = scores.softmax(1)
        terms = [-probs[i, labels[i]].log().item() for i in rows]
        plain, weighted = (
            sum(w * t for w, t in zip(kept, terms, strict=True)) / number
            for kept in ([1.0] * len(rows), [sure[i].item() for i in rows])
        )
        assert losses[False][key].item() == pytest.approx(plain, rel=1e-5)
        assert losses[True][key].item() == pytest.approx(weighted, rel=1e-5)
        assert weighted < 0.95 * plain


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (dict(score_thr=1), r'score_thr is the score .* in \[0, 1\), but got 1\.'),
        (dict(score_thr=-0.1), r'in \[0, 1\), but got -0.1'),
        (dict(loss_weight=-1), 'loss_weight of .* must be a finite number >= 0'),
        (dict(temperature=0), 'temperature must be > 0, but is 0'),
        (dict(temperature=float('nan')), 'temperature must be > 0, but is nan'),
        (dict(box_weight=float('inf')), 'box_weight of .* must be a finite number'),
    ],
)
def test_refuses(settings, sentence):
    kinds = [TeacherDistillation]
    if not {'temperature', 'box_weight'} & set(settings):
        kinds.append(PseudoLabelHead)
    for kind in kinds:
        with pytest.raises(ValueError, match=sentence):
            kind(**settings)


@pytest.mark.parametrize('kind', [SOFT, HARD])
def test_a_detector_without_a_teacher(build, batch, kind):
    with pytest.raises(
        ValueError, match=f"{kind} learns .* add default_hooks=.*type='TeacherHook'"
    ):
        build(kind).loss(*batch)
