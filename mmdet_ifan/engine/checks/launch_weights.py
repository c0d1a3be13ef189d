"""Weigh each alignment against the detection loss before its launch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

#: Weight of an alignment, in detection losses, from which it dominates.
DOMINATES = 5.0


@dataclass
class Weight:
    """The weight of an alignment on one batch, relative to detection.

    Attributes:
        loss (float): Sum of its terms over that of the detection losses.
        gradient (float): Norm of its gradient in the backbone over that of
            the detection losses.
    """

    loss: float
    gradient: float

    @property
    def dominates(self) -> bool:
        """bool: Whether the detector would hardly learn anything else."""
        return not max(self.loss, self.gradient) <= DOMINATES

    def __str__(self) -> str:
        return f'{self.loss:.2g} ({self.gradient:.2g})'


def weigh_alignments(
    names: Iterable[str], values: Mapping[str, Tensor], backbone: nn.Module
) -> dict[str, Weight]:
    """Weigh the terms of a batch and their pull on the backbone.

    Args:
        names (Iterable[str]): The alignments, all of which were launched.
        values (Mapping[str, Tensor]): The batch's values by their names in
            the log, from ``parse_losses``. Their graph is kept, and no
            gradient is accumulated.
        backbone (nn.Module): The backbone they were computed with.

    Returns:
        dict[str, Weight]: By the name of the alignment.
    """
    sums: dict[str, Tensor] = {}
    for name, value in values.items():
        if 'loss' in name and name != 'loss':
            owner = name.split('/')[0] if '/' in name else ''
            sums[owner] = sums.get(owner, 0.0) + value
    trained = [p for p in backbone.parameters() if p.requires_grad]
    pulls = {
        name: _norm(
            torch.autograd.grad(value, trained, retain_graph=True, allow_unused=True)
        )
        for name, value in sums.items()
    }
    # On a frozen trunk nothing pulls.
    least = torch.finfo(torch.float).tiny
    return {
        name: Weight(
            float(sums[name].detach() / sums[''].detach()),
            pulls[name] / max(pulls[''], least),
        )
        for name in names
    }


def _norm(gradients: tuple[Tensor | None, ...]) -> float:
    """Compute the norm of all gradients together."""
    return float(
        sum(g.double().square().sum() for g in gradients if g is not None) ** 0.5
    )
