"""Diagnose a training step whose numbers went wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from ...datasets.random_states import RandomState, kept_random_state, set_random_state
from ...utils.errors import name_some
from .divergence import term_name


@dataclass
class Step:
    """Hold the inputs of a training step, and its losses.

    Attributes:
        iteration (int): Counted from 0.
        batch (dict): From the data loader.
        random_state (dict): Before the step.
        losses (dict[str, Tensor]): Scalars by their names in the log.
    """

    iteration: int
    batch: dict[str, Any]
    random_state: RandomState
    losses: dict[str, Tensor] = field(default_factory=dict)

    @property
    def images(self) -> dict[str, list[str]]:
        """dict[str, list[str]]: Paths of each domain's images."""
        return {
            domain: [sample.metainfo.get('img_path', '?') for sample in samples]
            for domain, samples in self.batch['data_samples'].items()
        }


def diagnose(model: BaseModel, step: Step) -> dict[str, Any]:
    """Compute a step again to find where it goes wrong.

    The gradient of each term is followed back to the images, so that a term
    of both domains shows which of them is at fault.

    Args:
        model (BaseModel): The detector, with the weights of the step.
        step (Step): The step.

    Returns:
        dict: ``weights`` and ``inputs`` that are not finite, and ``terms``,
        each with its ``term``, whether ``loss`` and ``gradient`` are finite,
        and the ``images`` at fault.
    """
    result: dict[str, Any] = dict(
        weights=[
            name
            for name, parameter in model.named_parameters()
            if not parameter.isfinite().all()
        ],
        inputs=[],
        terms=[],
    )
    with kept_random_state():
        set_random_state(step.random_state)
        data = model.data_preprocessor(step.batch, True)
        inputs = data['inputs']
        result['inputs'] = _images_at_fault(step, inputs)
        for images in inputs.values():
            images.requires_grad_()
        # Calling the module itself would run its hooks.
        losses = model.loss(inputs, data['data_samples'])
    parameters = [p for p in model.parameters() if p.requires_grad]
    for name, loss in model.parse_losses(losses)[1].items():
        if 'loss' not in name or name == 'loss' or not loss.requires_grad:
            continue
        gradients = torch.autograd.grad(
            loss, [*inputs.values(), *parameters], retain_graph=True, allow_unused=True
        )
        finite = all(g is None or g.isfinite().all() for g in gradients)
        if not (finite and loss.isfinite()):
            result['terms'].append(
                dict(
                    term=name,
                    loss=bool(loss.isfinite()),
                    gradient=finite,
                    images=_images_at_fault(
                        step, dict(zip(inputs, gradients, strict=False))
                    ),
                )
            )
    return result


def describe(step: Step, diagnosis: Mapping[str, Any]) -> str:
    """Describe what is wrong with a step, and how to fix it.

    Args:
        step (Step): The step.
        diagnosis (Mapping): From :func:`diagnose`.

    Returns:
        str: The text.
    """
    wrong = list(diagnosis.get('diverged', ())) or [
        f'{term_name(name)} is {value.item()}'
        for name, value in step.losses.items()
        if not value.isfinite() and name != 'loss'
    ]
    seen = {name for name, value in step.losses.items() if not value.isfinite()}
    wrong += [
        f'the gradient of {term_name(term["term"])} is not finite'
        for term in diagnosis['terms']
        if term['term'] not in seen
    ]
    text = f'At iteration {step.iteration} ' + (
        name_some(wrong) or 'the gradient is not finite'
    )
    images = dict.fromkeys(
        image for term in diagnosis['terms'] for image in term['images']
    )
    if diagnosis.get('diverged'):
        fix = (
            'Training has diverged: lower the loss_weight, the grl_weight '
            'or the learning rate, or launch the alignment later.'
        )
    elif diagnosis['weights']:
        fix = (
            f'{name_some(diagnosis["weights"], 1)} of the weights were '
            'not finite before: start from an earlier checkpoint.'
        )
    elif diagnosis['inputs']:
        fix = (
            f'{name_some(diagnosis["inputs"])} is not finite after the '
            'preprocessing: check the image, and std of '
            'data_preprocessor.'
        )
    elif not diagnosis['terms']:
        fix = (
            'Computed again, every term by itself is finite: the sum '
            'overflows, or the device computes differently each time. '
            'Lower the learning rate, or set optim_wrapper.clip_grad.'
        )
    else:
        fix = (
            'Weights and images are finite: lower the learning rate or '
            'the loss_weight, or set optim_wrapper.clip_grad.'
        )
    if images:
        text += f', by {name_some(images)}'
    everything = '; '.join(
        f'{domain} {name_some(paths)}' for domain, paths in step.images.items()
    )
    return f'{text}. {fix} Images of the step: {everything}.'


def _images_at_fault(step: Step, values: Mapping[str, Tensor | None]) -> list[str]:
    """Name the images of which a value is not finite."""
    return [
        f'the {domain} image {path}'
        for domain, images in values.items()
        if images is not None
        for image, path in zip(images, step.images[domain], strict=True)
        if not image.isfinite().all()
    ]
