"""Notice a training step that is finite but has diverged."""

from collections.abc import Mapping

import numpy as np
from mmengine.logging import MessageHub

#: Name in the log of the norm of all gradients, before clipping.
GRAD_NORM = 'grad_norm'
#: Detection losses below it count as this much: they are those of a trained
#: detector.
LEAST_DETECTION = 0.1
#: Gradient norms below it count as this much.
LEAST_NORM = 1.0
#: Iterations that a recent value needs.
LEAST_HISTORY = 10


class DivergenceCheck:
    """Compare a step with those before it, and alignments with detection.

    A recent value is the median over a window of iterations, zeros aside, which
    a few outliers do not move. It comes from the runner's message hub, which keeps
    every logged value and is in every checkpoint, so a resumed run decides
    like an uninterrupted one.

    A step has diverged

    - if a term of an alignment is ``max_ratio`` times the recent detection
      loss, as the first term of Eq. 6 is without normalisation;
    - if it is ``max_growth`` times its own recent value and more than the
      detection loss, so that it matters;
    - if a term of the detector is ``max_growth`` times the recent detection
      loss, or the gradient norm as many times its own recent value.

    Args:
        max_growth (float): Factor, > 1. Defaults to 100.
        max_ratio (float): Factor, > 1. Defaults to 20.
        window (int): Iterations of a recent value, >= 10. Defaults to 100.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self, max_growth: float = 100.0, max_ratio: float = 20.0, window: int = 100
    ) -> None:
        if max_growth <= 1 or max_ratio <= 1 or window < LEAST_HISTORY:
            raise ValueError(
                'A divergence check needs max_growth and max_ratio > 1 and a '
                f'window >= {LEAST_HISTORY}, but got {max_growth}, '
                f'{max_ratio} and {window}.'
            )
        self.max_growth = max_growth
        self.max_ratio = max_ratio
        self.window = window

    def find(
        self, hub: MessageHub, losses: Mapping[str, float], grad_norm: float
    ) -> list[str]:
        """Find the values of a step that have diverged.

        Args:
            hub (MessageHub): The runner's, without this step.
            losses (Mapping[str, float]): The step's terms by their names in
                the log, the alignments' with a slash.
            grad_norm (float): Norm of all gradients, before clipping.

        Returns:
            list[str]: A text for each of them, such as ``loss_sddc of the
            alignment correlation is 815, 1020 times the detection loss
            (0.8)``.
        """
        terms = {name: value for name, value in losses.items() if name != 'loss'}
        recent = {name: self._recent(hub, name) for name in terms}
        detection = sum(
            value if (usual := recent[name]) is None else usual
            for name, value in terms.items()
            if '/' not in name
        )
        least = max(detection, LEAST_DETECTION)
        found = []
        for name, value in terms.items():
            usual = recent[name]
            if '/' not in name:
                if usual is not None and value > self.max_growth * least:
                    found.append(
                        f'{term_name(name)} is {value:.3g}, '
                        f'{value / least:.0f} times the recent '
                        f'detection loss ({detection:.3g})'
                    )
            elif value > self.max_ratio * least:
                found.append(
                    f'{term_name(name)} is {value:.3g}, '
                    f'{value / least:.0f} times the detection loss '
                    f'({detection:.3g}){_launch(hub, name)}'
                )
            elif usual is not None and value > max(self.max_growth * usual, least):
                found.append(
                    f'{term_name(name)} is {value:.3g}, where it '
                    f'recently was {usual:.3g}{_launch(hub, name)}'
                )
        usual = self._recent(hub, GRAD_NORM)
        if usual is not None and grad_norm > self.max_growth * max(usual, LEAST_NORM):
            found.append(
                f'the norm of the gradient is {grad_norm:.3g}, where '
                f'it recently was {usual:.3g}'
            )
        return found

    def _recent(self, hub: MessageHub, name: str) -> float | None:
        """Give the median of a logged value; None if there are too few.

        A term is 0 where it had nothing to compare, which says nothing.
        """
        values = history(hub, f'train/{name}')[-self.window :]
        values = values[values != 0]
        return float(np.median(values)) if len(values) >= LEAST_HISTORY else (None)


def history(hub: MessageHub, name: str) -> np.ndarray:
    """Give all values that were logged under a name, one per iteration.

    Args:
        hub (MessageHub): The runner's.
        name (str): Such as ``train/loss_cls``.

    Returns:
        np.ndarray: Of shape (N, ), the latest last.
    """
    buffer = hub.log_scalars.get(name)
    return np.zeros(0) if buffer is None else buffer.data[0]


def launches(hub: MessageHub) -> dict[str, int]:
    """Give the iteration at which each alignment was launched.

    Args:
        hub (MessageHub): The runner's.

    Returns:
        dict[str, int]: Iteration, counted from 0, by the alignment's name,
        of those that are launched.
    """
    return {
        name.split('/')[1]: int(launched.argmax())
        for name in hub.log_scalars
        if name.startswith('train/')
        and name.endswith('/launched')
        and (launched := history(hub, name)).any()
    }


def term_name(term: str) -> str:
    """Name a term of the log for a sentence.

    Args:
        term (str): Such as ``image/loss_phi1``.

    Returns:
        str: Such as ``loss_phi1 of the alignment image``.
    """
    alignment, slash, loss = term.rpartition('/')
    return (
        f'{loss} of the alignment {alignment}' if slash else (f'{loss} of the detector')
    )


def _launch(hub: MessageHub, term: str) -> str:
    """Add when a term's alignment was launched, if that is known."""
    launched = launches(hub).get(term.split('/')[0])
    return '' if launched is None else f', launched at iteration {launched}'
