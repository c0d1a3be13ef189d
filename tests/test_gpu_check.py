"""The check of a GPU, on the CPU."""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmark import acceptance
from benchmark.detectors import build_untrained

from mmdet_ifan.models import TeacherDistillation

TOOL = Path(__file__).resolve().parents[1] / 'tools/gpu_check.py'


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Run the tool."""
    monkeypatch.setattr(sys, 'argv', ['gpu_check.py', *arguments])
    monkeypatch.syspath_prepend(TOOL.parent)
    runpy.run_path(str(TOOL), run_name='__main__')


def test_every_method_is_checked_in_both_precisions():
    names = set(acceptance.checks(small=False))
    for method in acceptance.METHODS:
        assert {f'{method}, float32', f'{method}, float16'} <= names
    assert names >= {'operators', 'resume', 'speed over stock'}
    assert not any('float16' in name for name in acceptance.checks(small=True))


@pytest.mark.slow
@pytest.mark.parametrize('leaf', ['ifan_mini-city', 'mtor_mini-city'])
def test_a_step_is_timed(leaf):
    assert acceptance.step(leaf, (64, 96), 'float32')['seconds'] > 0


@pytest.mark.slow
def test_a_teachers_term_gets_its_views(monkeypatch):
    seen = []
    loss = TeacherDistillation.loss

    def spy(self, source, target):
        seen.append(set(target.views))
        return loss(self, source, target)

    monkeypatch.setattr(TeacherDistillation, 'loss', spy)
    acceptance.step('teacher_mini-city', (64, 96), 'float32')
    assert seen and all(views == {'teacher', 'student'} for views in seen)


def test_a_loss_that_is_not_finite_fails(monkeypatch):
    def spoilt(model: Any) -> torch.nn.Module:
        detector = build_untrained(model)
        detector.rpn_head.rpn_cls.bias.data.fill_(torch.nan)
        return detector

    monkeypatch.setattr(acceptance, 'build_untrained', spoilt)
    with pytest.raises(ArithmeticError, match='of ifan_mini-city is not finite'):
        acceptance.step('ifan_mini-city', (64, 96), 'float32')


def test_findings_are_written_and_a_failure_is_told(monkeypatch, tmp_path, capsys):
    def fail() -> dict:
        raise RuntimeError('no such kernel')

    monkeypatch.setattr(
        acceptance,
        'checks',
        lambda small: dict(good=lambda: dict(seconds=0.5), bad=fail),
    )
    out = tmp_path / 'new/found.json'
    with pytest.raises(SystemExit) as exit_:
        run(monkeypatch, '--cpu', '--out', str(out))
    assert exit_.value.code == 1
    found = json.loads(out.read_text())
    assert found['machine']['torch'] == torch.__version__
    assert found['checks'] == dict(
        good=dict(ok=True, seconds=0.5),
        bad=dict(ok=False, error='RuntimeError: no such kernel'),
    )
    assert 'FAILED  bad  error RuntimeError: no such kernel' in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_without_a_gpu(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch)
    assert 'torch sees no GPU' in capsys.readouterr().err
