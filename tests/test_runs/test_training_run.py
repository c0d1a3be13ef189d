"""Concurrent runs: their shares of cores and GPUs, and their end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import Config
from processes import read_numbers
from tqdm import tqdm

from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes
from mmdet_ifan.runs.training_run import TrainingRun, train_all

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shares(monkeypatch, tmp_path):
    """Make runs that end at once; returns (command, environment) of each."""
    config = ROOT / 'configs/source-only/source-only_mini-city.py'

    def run(
        count: int,
        cores: int,
        gpus: int = 0,
        jobs: int | None = None,
        processes: int = 1,
    ) -> list:
        monkeypatch.setattr('os.sched_getaffinity', lambda _: set(range(cores)))
        monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
        monkeypatch.setattr('time.sleep', lambda _: None)
        started: list[tuple[list[str], dict[str, str]]] = []

        def popen(command: list[str], env: dict, **_: Any) -> SimpleNamespace:
            started.append((command, env))
            return SimpleNamespace(pid=1, returncode=None)

        monkeypatch.setattr('subprocess.Popen', popen)
        monkeypatch.setattr('os.wait4', lambda *_: (1, 0, SimpleNamespace(ru_maxrss=1)))
        all_runs = [TrainingRun(config, tmp_path / str(i), i) for i in range(count)]
        train_all(all_runs, tqdm(disable=True), jobs, processes)
        assert len(started) == count
        return started

    return run


def options_of(command: list[str]) -> dict:
    """Read the changes to the config from a command line."""
    cfg = Config()
    if '--cfg-options' in command:
        cfg.merge_from_dict(
            dict(
                option.split('=')
                for option in command[command.index('--cfg-options') + 1 :]
            )
        )
    return cfg.to_dict()


CONFIG = """
_base_ = {base!r}
train_cfg = dict(max_iters=2000)
default_hooks = dict(late_launch=dict(launch=dict(
    image=0, instance=400, correlation=1400)))
train_dataloader = dict(batch_size=4, dataset=dict(
    source=dict(data_root={root!r}), target=dict(data_root={root!r})))
"""
EPOCHS = """
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=3)
"""
BY_EPOCH = 'by_epoch=True, launch=dict(image=0, instance=1, correlation=2)'


@pytest.mark.slow
@pytest.mark.parametrize(
    ('more', 'iterations', 'launches', 'checkpoint'),
    [
        ('', 2000, [0, 400, 1400], 'iter_2000'),
        (
            "custom_hooks = [dict(type='LateLaunchHook', launch=dict(image=7))]",
            2000,
            [7],
            'iter_2000',
        ),
        # Ten scenes, four in a step.
        (
            EPOCHS + f'default_hooks = dict(late_launch=dict({BY_EPOCH}))',
            9,
            [0, 3, 6],
            'epoch_3',
        ),
        (
            EPOCHS + 'default_hooks = dict(late_launch=dict(launch=dict('
            '_delete_=True, image=5)))',
            9,
            [5],
            'epoch_3',
        ),
    ],
)
def test_cost_and_result_of_a_run(tmp_path, more, iterations, launches, checkpoint):
    root = tmp_path / 'mini_city'
    write_mini_city(root, MiniCity(train=10, val=1), 1)
    prepare_cityscapes(root, Options(workers=1))
    config = tmp_path / 'leaf.py'
    config.write_text(
        CONFIG.format(base=str(ROOT / 'configs/ifan/ifan_mini-city.py'), root=str(root))
        + more
    )
    run = TrainingRun(config, tmp_path / 'run', 0)
    assert run.max_iters == iterations
    assert run.launches == launches
    assert run.work == iterations + sum((iterations - start) / 2 for start in launches)
    assert run.checkpoint == tmp_path / f'run/{checkpoint}.pth'


@pytest.mark.parametrize(
    ('cores', 'jobs', 'processes', 'threads'),
    [
        (1, None, 1, 1),
        (2, None, 1, 1),
        (2, 1, 1, 2),
        (2, None, 2, 1),
        (8, None, 2, 2),
        (8, 1, 4, 2),
        (1, None, 2, 1),
    ],
)
def test_cores_are_shared_equally(shares, cores, jobs, processes, threads):
    for command, env in shares(2, cores, 0, jobs, processes):
        assert env['OMP_NUM_THREADS'] == str(threads)
        assert env['MALLOC_TRIM_THRESHOLD_'] == '1073741824'
        options = options_of(command)
        if processes == 1:
            assert 'torch.distributed.run' not in command
            assert 'train_dataloader' not in options
        else:
            assert f'--nproc_per_node={processes}' in command
            assert command[command.index('--launcher') + 1] == 'pytorch'
            # The processes' batches add up to the config's.
            assert options['train_dataloader'] == dict(batch_size=str(4 // processes))


@pytest.mark.parametrize(
    ('gpus', 'jobs', 'processes', 'visible', 'expected'),
    [
        (1, None, 1, None, ['0', '0', '0']),
        (2, None, 1, None, ['0', '1', '0']),
        (4, None, 2, None, ['0,1', '2,3', '0,1']),
        (2, None, 1, '5,7', ['5', '7', '5']),
        (2, 3, 1, None, ['0', '1', '0']),
    ],
)
def test_each_process_has_a_gpu(
    shares, monkeypatch, gpus, jobs, processes, visible, expected
):
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if visible:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    started = shares(3, 16, gpus, jobs, processes)
    assert [env['CUDA_VISIBLE_DEVICES'] for _, env in started] == expected


def test_ending_a_study_ends_its_runs(monkeypatch, tmp_path):
    process = subprocess.Popen(['sleep', '60'])
    monkeypatch.setattr('subprocess.Popen', lambda *_, **__: process)
    monkeypatch.setattr('time.sleep', lambda _: signal.raise_signal(signal.SIGTERM))
    run = TrainingRun(
        ROOT / 'configs/source-only/source-only_mini-city.py', tmp_path / 'run', 0
    )
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match='143'):
        train_all([run], tqdm(disable=True))
    monkeypatch.undo()
    assert process.wait(10) == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


STUDY = """
import sys, time
from pathlib import Path

from mmdet_ifan.runs.training_run import TrainingRun

folder, sys.executable = Path(sys.argv[1]), sys.argv[2]
run = TrainingRun(
    Path('configs/source-only/source-only_mini-city.py'), folder, 0)
run.start(1, 1)
print(run.process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_killed_study_ends_its_runs(tmp_path, runs):
    python = tmp_path / 'python'
    python.write_text('#!/bin/sh\nexec sleep 60\n')
    python.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, '-c', STUDY, tmp_path / 'run', python],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as study:
        (pid,) = read_numbers(study.stdout)
        assert runs(pid)
        study.kill()
    for _ in range(100):
        if not runs(pid):
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    pytest.fail('The run was not ended.')
