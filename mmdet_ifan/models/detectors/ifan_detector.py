"""The domain-adaptive detector (iFAN, Eq. 7)."""

from collections.abc import Callable
from functools import cache
from inspect import signature
from typing import Any
from weakref import ref

import torch
from mmdet.models import FasterRCNN
from mmdet.models.utils import rename_loss_dict, unpack_gt_instances
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import ConfigType, InstanceList
from mmengine.model import ModuleDict
from torch import Tensor, nn

from ..alignments import AdaptationTerm
from ..domain_features import DomainFeatures, Proposals, extract_together, kept_vectors
from ..layers import at_least_float, evaluating

#: Side in pixels of the blank image that taps are measured on.
SIDE = 64


@torch.no_grad()
def blank_taps(backbone: nn.Module) -> tuple[Tensor, ...]:
    """Compute the taps of a blank image, ``SIDE`` px high and wide.

    Args:
        backbone (nn.Module): The backbone.
    """
    device = next(backbone.parameters()).device
    with evaluating(backbone):
        return backbone(torch.zeros(1, 3, SIDE, SIDE, device=device))


def _arguments_of(term: type) -> list[str]:
    """List the arguments of a class and of those that it passes the rest on to."""
    names = {name for each in term.__mro__[:-1] for name in signature(each).parameters}
    return sorted(names - {'args', 'kwargs'})


def with_channels(neck: ConfigType, backbone: ConfigType) -> ConfigType:
    """Add what the config of a neck leaves to the backbone, ``in_channels``.

    Args:
        neck (dict): Config of the neck.
        backbone (dict): Config of the backbone, which is built if they are
            left out. No random number is drawn for it.

    Returns:
        dict: Config of a neck for the taps of this backbone.
    """
    left_out = neck.get('in_channels') is None
    kind = MODELS.get(neck['type']) if isinstance(neck['type'], str) else neck['type']
    if not left_out or 'in_channels' not in signature(kind).parameters:
        return neck
    with torch.random.fork_rng(devices=()):
        taps = blank_taps(MODELS.build(dict(backbone, init_cfg=None)))
    return dict(neck, in_channels=[tap.shape[1] for tap in taps])


@MODELS.register_module()
class IFANDetector(FasterRCNN):
    """A Faster R-CNN that learns domain-invariant features.

    Training takes labelled source and unlabelled target images. The loss is
    the detection loss on source plus every launched term. Testing runs exactly
    what Faster R-CNN runs. Backbone, RPN and RoI head have the parameter names
    of mmdet's ``FasterRCNN``, so each loads the other's checkpoints.

    Args:
        neck (dict): Config of any neck, which may leave ``in_channels`` to the
            backbone. A neck that is itself an ``AdaptationTerm``, such as
            :class:`HierarchicalDomainNeck`, is the term ``image``.
        alike_proposals (bool): Whether terms see the RPN's first proposals in
            both domains, as many as at test time. With False, their source
            proposals are those that the detection loss sampled. This saves a
            second pooling, but up to a quarter of them are positive, true
            boxes among them, which by itself tells the domain. Defaults to
            False.
        alignments (dict[str, dict], optional): Configs of the other terms by
            the names under which :class:`mmdet_ifan.engine.LateLaunchHook`
            launches them. They may leave out what the detector knows, such as
            channels (see :meth:`facts`). Defaults to None.
        **kwargs: Arguments of mmdet's ``FasterRCNN``.

    Raises:
        TypeError: If something under ``alignments`` is no config of an
            ``AdaptationTerm``.
        ValueError: If a term cannot be built or has a name that it must not
            have, or if the backbone has not the taps that the neck expects.
    """

    def __init__(
        self,
        *,
        neck: ConfigType,
        alike_proposals: bool = False,
        alignments: dict[str, ConfigType] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(neck=with_channels(neck, kwargs['backbone']), **kwargs)
        self.alike_proposals = alike_proposals
        self._teacher: Callable[[], FasterRCNN | None] = _nobody
        expected = getattr(self.neck, 'in_channels', None)
        taps = getattr(self.backbone, 'taps', None) or getattr(
            self.backbone, 'out_indices', None
        )
        if expected and taps and len(taps) != len(expected):
            raise ValueError(
                f'The neck expects {len(expected)} taps, but the backbone '
                f'gives {len(taps)} ({", ".join(map(str, taps))}): make them '
                'agree.'
            )
        # In mixed precision mmdet would round anchors and boxes as well: by
        # pixels, beyond 256 pixels in bfloat16 and 2048 in float16.
        for head in (self.rpn_head, self.roi_head.bbox_head):
            head.register_forward_hook(_predict_at_least_float)
        self.roi_head.bbox_roi_extractor.register_forward_pre_hook(_pool_at_least_float)
        for name in alignments or {}:
            if 'loss' in name:
                raise ValueError(
                    f'alignments.{name} needs another name: mmengine adds up '
                    'all that has "loss" in its name, so also what the term '
                    'only logs.'
                )
        # Measured once, and only if a term leaves something out.
        facts = cache(self.facts)
        # The image level comes first, wherever a child config adds it.
        self.alignments = ModuleDict(
            {
                name: self._build_alignment(name, cfg, facts)
                for name, cfg in sorted(
                    (alignments or {}).items(), key=lambda item: item[0] != 'image'
                )
            }
        )
        if isinstance(self.neck, AdaptationTerm) and ('image' in self.alignments):
            raise ValueError(
                'The name image belongs to the alignment in the neck: '
                'give alignments.image another name.'
            )

    def _build_alignment(
        self, name: str, cfg: ConfigType, facts: Callable[[], dict[str, Any]]
    ) -> AdaptationTerm:
        """Build a term, with what its config leaves to the detector."""
        if not isinstance(cfg, dict):
            raise TypeError(
                f'alignments.{name} must be a config of a term, but is '
                f'{cfg!r}: to leave a term out, replace the whole dict by '
                'alignments=dict(_delete_=True, ...).'
            )
        kind = cfg.get('type')
        term = MODELS.get(kind) if isinstance(kind, str) else kind
        left_out = {
            argument: fact
            for argument, fact in getattr(term, 'FROM_DETECTOR', {}).items()
            if cfg.get(argument) is None
        }
        if left_out:
            cfg = dict(
                cfg, **{argument: facts()[fact] for argument, fact in left_out.items()}
            )
        try:
            alignment = MODELS.build(cfg)
        except (KeyError, TypeError, ValueError) as error:
            text = f'alignments.{name} cannot be built: {error.args[0]}'
            if 'unexpected keyword argument' in text and isinstance(term, type):
                text += (
                    f'. {term.__name__} takes {", ".join(_arguments_of(term))}; what '
                    'a base config sets goes with _delete_=True beside type.'
                )
            raise type(error)(text) from error
        if not isinstance(alignment, AdaptationTerm):
            raise TypeError(
                f'alignments.{name} is a {type(alignment).__name__}, which '
                'is no AdaptationTerm: make it a subclass.'
            )
        return alignment

    def facts(self) -> dict[str, Any]:
        """Measure what a term's config may leave to the detector.

        Returns:
            dict: ``tap_channels`` and ``tap_strides``, a number for each tap;
            ``last_tap_channels``; ``roi_channels`` of pooled features;
            ``vector_channels``, what the box head scores; ``num_classes``;
            ``num_proposals`` that terms see of an image, at most.
        """
        box_head = self.roi_head.bbox_head
        taps = blank_taps(self.backbone)
        channels = tuple(tap.shape[1] for tap in taps)
        num_proposals = self.test_cfg.rpn.max_per_img
        if self.train_cfg and not self.alike_proposals:
            # Not every sampler has a number.
            sampled = self.train_cfg.rcnn.sampler.get('num', num_proposals)
            num_proposals = min(num_proposals, sampled)
        return dict(
            tap_channels=channels,
            tap_strides=tuple(SIDE // tap.shape[-1] for tap in taps),
            last_tap_channels=channels[-1],
            roi_channels=self.roi_head.bbox_roi_extractor.out_channels,
            vector_channels=box_head.fc_cls.in_features,
            num_classes=box_head.num_classes,
            num_proposals=num_proposals,
        )

    @property
    def all_alignments(self) -> dict[str, AdaptationTerm]:
        """dict[str, AdaptationTerm]: The terms by name, ``image`` first."""
        in_neck = isinstance(self.neck, AdaptationTerm)
        image = {'image': self.neck} if in_neck else {}
        return {**image, **self.alignments}

    @property
    def teacher(self) -> FasterRCNN | None:
        """FasterRCNN | None: The averaged detector, if a hook has given one."""
        return self._teacher()

    def follow(self, teacher: FasterRCNN) -> None:
        """Let terms see what another detector sees.

        It is no part of this one: not of its state, its parameters or its
        copies. Whoever gives it keeps it alive.

        Args:
            teacher (FasterRCNN): A detector of the same build, whose
                parameters need no gradient.
        """
        self._teacher = ref(teacher)

    def loss(
        self,
        multi_batch_inputs: dict[str, Tensor],
        multi_batch_data_samples: dict[str, SampleList],
    ) -> dict:
        """Compute the detection loss and each launched term (iFAN, Eq. 7).

        Args:
            multi_batch_inputs (dict[str, Tensor]): Images of the branches
                ``source`` and ``target``, each of shape (N, 3, H, W). Further
                branches are views of theirs: ``target_teacher`` becomes the
                view ``teacher`` of the target.
            multi_batch_data_samples (dict[str, list[DetDataSample]]): Their
                data samples. Of ``target`` only the meta information is read.

        Returns:
            dict: mmdet's detection losses and, as ``{name}/{key}``, the
            values of each launched term.

        Raises:
            TypeError: See :meth:`AdaptationTerm.checked_loss`.
            ValueError: See :meth:`AdaptationTerm.checked_loss`; or if a view
                has another geometry than its domain.
        """
        seen = {
            branch: (images, multi_batch_data_samples[branch])
            for branch, images in multi_batch_inputs.items()
        }
        source, target = (
            DomainFeatures(
                self,
                *seen[domain],
                views={
                    branch.removeprefix(f'{domain}_'): DomainFeatures(self, *parts)
                    for branch, parts in seen.items()
                    if branch.startswith(f'{domain}_')
                },
            )
            for domain in ('source', 'target')
        )
        launched = {
            name: alignment
            for name, alignment in self.all_alignments.items()
            if alignment.launched
        }
        compared = any(term.compares_domains for term in launched.values())
        if compared and source.batch_shape == target.batch_shape:
            source.taps, target.taps = extract_together(
                self.backbone, source.batch_inputs, target.batch_inputs
            )
        losses, sampled, source.proposal_boxes = self.detection_loss(source)
        if not self.alike_proposals:
            source.proposals = sampled
        for name, alignment in launched.items():
            losses.update(
                rename_loss_dict(f'{name}/', alignment.checked_loss(source, target))
            )
        return losses

    def detection_loss(
        self, source: DomainFeatures
    ) -> tuple[dict, Proposals, list[Tensor]]:
        """Compute Faster R-CNN's loss.

        Args:
            source (DomainFeatures): Images with boxes: source, or those that
                a teacher has labelled.

        Returns:
            tuple: The losses; the proposals sampled for them; and the RPN's
            first boxes, as many as at test time, (K, 4) per image.
        """
        rpn_losses, proposals = self.rpn_head.loss_and_predict(
            source.feats,
            _without_categories(source.data_samples),
            proposal_cfg=self.train_cfg.get('rpn_proposal', self.test_cfg.rpn),
        )
        num = self.test_cfg.rpn.max_per_img
        rpn_boxes = [proposal.bboxes[:num] for proposal in proposals]
        sampled = self.sample_proposals(source, proposals)
        with kept_vectors(self.roi_head.bbox_head) as vectors:
            results = self.roi_head.bbox_loss(source.feats, sampled)
        boxes = [result.priors for result in sampled]
        pooled = Proposals(
            bbox2roi(boxes),
            [len(box) for box in boxes],
            results['bbox_feats'],
            results['cls_score'],
            results['bbox_pred'],
            *vectors,
        )
        return {**rpn_losses, **results['loss_bbox']}, pooled, rpn_boxes

    def sample_proposals(self, source: DomainFeatures, proposals: InstanceList) -> list:
        """Assign and sample proposals, as ``StandardRoIHead.loss`` does.

        Args:
            source (DomainFeatures): Images with boxes.
            proposals (list[InstanceData]): Their proposals, of which it takes
                the ``bboxes``.

        Returns:
            list[SamplingResult]: Of each image.
        """
        gt_instances, ignored, _ = unpack_gt_instances(source.data_samples)
        sampled = []
        for i, proposal in enumerate(proposals):
            proposal.priors = proposal.pop('bboxes')
            assigned = self.roi_head.bbox_assigner.assign(
                proposal, gt_instances[i], ignored[i]
            )
            sampled.append(
                self.roi_head.bbox_sampler.sample(
                    assigned,
                    proposal,
                    gt_instances[i],
                    feats=[level[i][None] for level in source.feats],
                )
            )
        return sampled


def _nobody() -> None:
    """Stand for the teacher that a detector has not."""


def _predict_at_least_float(_: Any, inputs: tuple, outputs: tuple) -> tuple:
    """Cast what a head predicts."""
    return _at_least_float(outputs)


def _pool_at_least_float(_: Any, inputs: tuple) -> tuple:
    """Cast feature maps and boxes; mmcv's RoIAlign has no bfloat16 either."""
    return _at_least_float(inputs)


def _at_least_float(tensors: Any) -> Any:
    """Cast the tensors in nested lists and tuples."""
    if isinstance(tensors, Tensor):
        return at_least_float(tensors)
    return type(tensors)(map(_at_least_float, tensors))


def _without_categories(data_samples: SampleList) -> SampleList:
    """Copy the samples, with every label 0 as the RPN's one class."""
    copies = []
    for sample in data_samples:
        # A clone of the sample shares its instances: clone these, too.
        copy, instances = sample.clone(), sample.gt_instances.clone()
        instances.labels = torch.zeros_like(instances.labels)
        copy.gt_instances = instances
        copies.append(copy)
    return copies
