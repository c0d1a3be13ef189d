"""Detect when losses have gone stable."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import all_reduce
from torch import Tensor


class Plateau:
    """Compare the means of losses over successive windows of iterations.

    Losses are stable if from the last window to this one no mean has changed
    by more than ``tolerance`` of itself, and the last one was finite. Sums
    stay on the device, so that nothing waits for it between the ends of two
    windows. They are those of all processes together: all decide alike, and
    the checkpoint of one holds the state of all.

    Args:
        window (int): Iterations of a window, >= 1.
        tolerance (float): Relative change that still counts as stable, > 0.

    Attributes:
        stable (bool): Whether the last two complete windows agree.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(self, window: int, tolerance: float) -> None:
        if window < 1 or tolerance <= 0:
            raise ValueError(
                'A plateau needs a window >= 1 and a tolerance > 0, but got '
                f'{window} and {tolerance}.'
            )
        self.window = window
        self.tolerance = tolerance
        self.restart()

    def restart(self) -> None:
        """Forget everything, since other losses are watched from here on."""
        self.sums: dict[str, Tensor] = {}
        self.count = 0
        self.means: dict[str, float] = {}
        self.stable = False

    def update(self, losses: Mapping[str, Tensor]) -> None:
        """Add the losses of one iteration.

        Args:
            losses (Mapping[str, Tensor]): Scalars by name, the same names in
                every iteration since the last restart.
        """
        names = sorted(losses)
        if names:
            values = torch.stack(
                [torch.as_tensor(losses[name]).detach().float() for name in names]
            )
            all_reduce(values, op='mean')
            for name, value in zip(names, values, strict=True):
                self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1
        if self.count < self.window:
            return
        means = {
            name: (total / self.window).item() for name, total in self.sums.items()
        }
        self.stable = bool(self.means) and all(
            math.isfinite(self.means[name])
            and abs(mean - self.means[name]) <= self.tolerance * abs(self.means[name])
            for name, mean in means.items()
        )
        self.means, self.sums, self.count = means, {}, 0

    def state_dict(self) -> dict[str, Any]:
        """Give all that a resumed run needs."""
        return dict(
            sums={name: value.cpu() for name, value in self.sums.items()},
            count=self.count,
            means=self.means,
            stable=self.stable,
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from :meth:`state_dict`."""
        self.sums, self.count = dict(state['sums']), state['count']
        self.means, self.stable = state['means'], state['stable']
