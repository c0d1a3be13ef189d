"""A step of each method computes what it did when it was last meant to change.

``python tests/test_engine/test_same_losses.py`` writes recorded_losses.json anew.
Do so only for a change that is meant, and say in the commit what moved.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

HERE = Path(__file__).parent
RECORDED = HERE / 'recorded_losses.json'
METHODS = [
    'adda',
    'da-faster',
    'few-shot',
    'ifan',
    'ifan-teacher',
    'img-ins',
    'mic',
    'mtor',
    'select-align',
    'strong-weak',
    'teacher',
]


def compute(method: str) -> dict[str, Any]:
    """Compute losses, gradients and the names of the weights of one step.

    In double precision, since rounding must not change which proposals are kept.
    """
    # Here, because this file also is a program.
    import recorded_steps  # noqa: F401
    from leaves import load
    from untrained import untrained

    cfg = load(f'{method}_mini-city')
    cfg.model.type = 'DoubleDetector'
    detector, teacher, batch = untrained(cfg)
    teacher.roi_head.bbox_head.shared_fcs[0].bias.add_(0.1)
    detector.follow(teacher)
    torch.manual_seed(0)
    losses = detector(**detector.data_preprocessor(batch, True), mode='loss')
    total, logged = detector.parse_losses(losses)
    total.backward()
    gradients = {
        name: torch.stack(
            [p.grad.norm() for p in part.parameters() if p.grad is not None]
        ).norm()
        for name, part in detector.named_children()
        if any(p.grad is not None for p in part.parameters())
    }
    weights = [f'{key} {tuple(w.shape)}' for key, w in detector.state_dict().items()]
    return dict(
        losses={key: value.item() for key, value in logged.items()},
        gradients={key: value.item() for key, value in gradients.items()},
        weights=hashlib.sha256('\n'.join(sorted(weights)).encode()).hexdigest(),
    )


@pytest.mark.parametrize(
    'method',
    [
        # Together they are slow; two have most of what is shared.
        name if name in ('ifan', 'mtor') else pytest.param(name, marks=pytest.mark.slow)
        for name in METHODS
    ],
)
def test_same_step(method, monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    recorded, computed = json.loads(RECORDED.read_text())[method], compute(method)
    # Its keys and shapes: a checkpoint that was made before still loads.
    assert computed['weights'] == recorded['weights']
    for part in ('losses', 'gradients'):
        assert computed[part] == pytest.approx(recorded[part], rel=1e-5, abs=1e-9)


if __name__ == '__main__':
    sys.path[:0] = [
        str(HERE),
        *(str(HERE.parents[1] / name) for name in ('tests', 'tools')),
    ]
    torch.set_num_threads(1)
    RECORDED.write_text(
        json.dumps({name: compute(name) for name in METHODS}, indent=1) + '\n'
    )
