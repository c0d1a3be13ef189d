"""Weigh each alignment against the detection loss before it is launched."""
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

#: What an alignment may weigh, in detection losses, before it dominates.
DOMINATES = 5.


@dataclass
class Weight:
    """What an alignment weighs on one batch, relative to detection.

    Attributes:
        loss (float): Sum of its terms over that of the detection losses.
        gradient (float): Norm of what it sends into the backbone over that of
            what the detection losses send.
    """
    loss: float
    gradient: float

    @property
    def dominates(self) -> bool:
        """bool: Whether the detector would hardly learn anything else."""
        return not max(self.loss, self.gradient) <= DOMINATES

    def __str__(self) -> str:
        return f'{self.loss:.2g} ({self.gradient:.2g})'


def weigh_alignments(model: BaseModel,
                     data: dict[str, Any]) -> dict[str, Weight]:
    """Compute every term of a batch and its pull on the backbone.

    Args:
        model (BaseModel): An ``IFANDetector`` with the weights that training
            starts from, in training mode. Its gradients are left alone.
        data (dict): A batch as its data preprocessor gives it.

    Returns:
        dict[str, Weight]: By the name of the alignment; all are weighed,
        whatever is launched.
    """
    alignments = model.all_alignments
    launched = {name: term.launched for name, term in alignments.items()}
    for term in alignments.values():
        term.launched = True
    try:
        losses = model(**data, mode='loss')
    finally:
        for name, term in alignments.items():
            term.launched = launched[name]
    values = model.parse_losses(losses)[1]
    sums: dict[str, Tensor] = {}
    for name, value in values.items():
        if 'loss' in name and name != 'loss':
            owner = name.split('/')[0] if '/' in name else ''
            sums[owner] = sums.get(owner, 0.) + value
    trained = [p for p in model.backbone.parameters() if p.requires_grad]
    pulls = {
        name: _norm(torch.autograd.grad(
            value, trained, retain_graph=True, allow_unused=True))
        for name, value in sums.items()
    }
    # A frozen trunk feels nothing, and nothing pulls on it.
    least = torch.finfo(torch.float).tiny
    return {
        name: Weight(float(sums[name].detach() / sums[''].detach()),
                     pulls[name] / max(pulls[''], least))
        for name in alignments
    }


def _norm(gradients: tuple[Tensor | None, ...]) -> float:
    """Compute the norm of all gradients together."""
    return float(
        sum(g.double().square().sum() for g in gradients if g is not None)
        **.5)
