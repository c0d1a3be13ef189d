"""Curves of several runs."""

import json
from pathlib import Path

import cv2
import pytest

from mmdet_ifan.analysis.curves import launches, plot_curves, read_scalars, summary


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Work folder of a run that was killed once and resumed."""
    first = [
        dict(
            step=20,
            loss=1.5,
            loss_cls=0.5,
            loss_bbox=0.7,
            **{
                'image/launched': 1.0,
                'image/loss_phi1': 0.2,
                'image/loss_phi2': 0.1,
                'image/accuracy_phi1': 90.0,
                'image/accuracy_phi2': 70.0,
                'instance/launched': 0.0,
            },
        ),
        dict(
            step=40,
            loss=1.2,
            loss_cls=0.4,
            loss_bbox=0.5,
            **{
                'image/launched': 1.0,
                'image/loss_phi1': 0.3,
                'image/accuracy_phi1': 60.0,
                'instance/launched': 1.0,
                'instance/loss': 0.05,
            },
        ),
    ]
    second = [{'step': 60, 'target/mAP50': 30.0}]
    for name, entries in (('20261101_000000', first), ('20261102_000000', second)):
        folder = tmp_path / 'run' / name / 'vis_data'
        folder.mkdir(parents=True)
        (folder / 'scalars.json').write_text(
            ''.join(json.dumps(entry) + '\n' for entry in entries)
        )
    # Killed in the middle of a line.
    with (tmp_path / 'run/20261101_000000/vis_data/scalars.json').open('a') as file:
        file.write('{"step": 50, "lo')
    return tmp_path / 'run'


def test_reads_all_sittings_of_a_run(run):
    assert [entry['step'] for entry in read_scalars(run)] == [20, 40, 60]
    assert read_scalars(run.parent) == []


def test_sums_up(run):
    first, second, evaluation = map(summary, read_scalars(run))
    assert first == pytest.approx(
        {'detection loss': 1.2, 'alignment loss': 0.3, 'domain accuracy (%)': 80.0}
    )
    assert second['alignment loss'] == pytest.approx(0.35)
    assert evaluation == {}
    assert launches(read_scalars(run)) == {'image': 20, 'instance': 40}


def test_draws_what_it_says(run, tmp_path):
    scalars = read_scalars(run)
    path = tmp_path / 'new' / 'curves.png'
    data = plot_curves({'a': scalars, 'b': scalars[:1]}, path)
    assert data['a']['curves']['alignment loss']['steps'] == [20, 40]
    assert data['b']['launches'] == {'image': 20}
    default = cv2.imread(str(path))
    assert min(default.shape[:2]) > 400
    data = plot_curves({'a': scalars}, path, ['instance/loss'])
    assert data['a']['curves'] == {'instance/loss': dict(steps=[40], values=[0.05])}
    # One panel instead of three.
    assert cv2.imread(str(path)).shape[0] < default.shape[0] / 2


def test_says_what_was_logged(run, tmp_path):
    with pytest.raises(ValueError, match='image/accuracy_phi1'):
        plot_curves({'a': read_scalars(run)}, tmp_path / 'a.png', ['absent'])
    assert not (tmp_path / 'a.png').exists()
