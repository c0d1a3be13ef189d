"""Tests of the wheel, the scripts and the model index, as ``mim`` sees them."""

import os
import subprocess
import sys
from collections import Counter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from processes import run_tool

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(
    path
    for path in (ROOT / 'configs').glob('*/*.py')
    if path.parent.name not in ('_base_', 'template')
)
IMAGES = ROOT / 'docs/images'


def test_wheel_has_what_mim_needs(wheel):
    mim = wheel / 'mmdet_ifan' / '.mim'
    assert (mim / 'model-index.yml').is_file()
    for folder in ('configs', 'tools'):
        packed = {path.relative_to(mim) for path in (mim / folder).rglob('*')}
        source = {
            path.relative_to(ROOT)
            for path in (ROOT / folder).rglob('*')
            if '__pycache__' not in str(path)
        }
        assert packed == {
            path
            for path in source
            # What only a checkout uses.
            if path.parts[1]
            not in ('bench.py', 'benchmark', 'setup_env.py', 'write_tables.py')
        }
    assert {path.name for path in wheel.iterdir()} == {
        'mmdet_ifan',
        'mmdet_ifan-0.1.0.dist-info',
    }


def test_wheel_has_every_module(wheel):
    for path in (ROOT / 'mmdet_ifan').rglob('*.py'):
        assert (wheel / path.relative_to(ROOT)).is_file()
    # Without it type checkers ignore our annotations.
    assert (wheel / 'mmdet_ifan/py.typed').is_file()


def test_source_tree_has_no_mim():
    """It would break ``mim`` on an editable installation."""
    assert not (ROOT / 'mmdet_ifan' / '.mim').exists()


def test_config_names_are_unique(wheel):
    """``mim`` finds a config by its name, anywhere in the package."""
    names = Counter(path.name for path in wheel.rglob('*') if path.is_file())
    assert CONFIGS
    assert [path.name for path in CONFIGS if names[path.name] != 1] == []


@pytest.mark.parametrize(
    'script',
    [
        'train.py',
        'test.py',
        'browse_pairs.py',
        'doctor.py',
        'export.py',
        'analysis/errors.py',
        'analysis/features.py',
    ],
)
def test_help_is_fast(script):
    """``mim train`` runs it each time, and looks for ``--gpus`` in it."""
    result = subprocess.run(
        [sys.executable, '-X', 'importtime', ROOT / 'tools' / script, '-h'],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0
    assert '--gpus' not in result.stdout and '--cfg-options' in result.stdout
    imported = {line.split('|')[-1].strip() for line in result.stderr.splitlines()}
    assert 'argparse' in imported
    assert not {'torch', 'mmengine', 'numpy'} & imported


@pytest.mark.parametrize(
    ('script', 'files', 'called'),
    [
        ('slurm_train.sh', ['a b.py', '--work-dir', 'w'], 'train.py'),
        ('slurm_test.sh', ['a b.py', 'c.pth'], 'test.py'),
    ],
)
def test_slurm_is_asked_for_what_was_said(tmp_path, script, files, called):
    """A stand-in for srun writes down how it was called."""
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    result = subprocess.run(
        ['bash', ROOT / 'tools' / script, 'short', 'fog', *files],
        env=dict(
            PATH=f'{tmp_path}:{os.environ["PATH"]}',
            PYTHON='python9',
            GPUS='4',
            GPUS_PER_NODE='2',
            CPUS_PER_TASK='3',
            SRUN_ARGS='--time=9 --exclusive',
        ),
        capture_output=True,
        text=True,
    )
    assert result.stdout.splitlines() == [
        '-p',
        'short',
        '--job-name=fog',
        '--gres=gpu:2',
        '--ntasks=4',
        '--ntasks-per-node=2',
        '--cpus-per-task=3',
        '--kill-on-bad-exit=1',
        '--time=9',
        '--exclusive',
        'python9',
        '-u',
        f'{ROOT}/tools/{called}',
        *files,
        '--launcher',
        'slurm',
    ], result.stderr


@pytest.mark.slow
def test_import_adds_nothing_but_itself():
    """Whoever has mmdet's models loaded waits for no further library."""
    # OneDL's mmdet.models does without mmdet's own data sets and metrics.
    onedl = 'mmdet' not in packages_distributions()['mmdet']
    loaded = 'mmdet.models' + onedl * ', mmdet.datasets, mmdet.evaluation'
    result = subprocess.run(
        [
            sys.executable,
            '-c',
            f'import sys, {loaded}; before = '
            'set(sys.modules); import mmdet_ifan; '
            'print(*set(sys.modules) - before)',
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr
    added = set(result.stdout.splitlines()[-1].split())
    assert 'mmdet_ifan.models' in added
    assert {name.split('.')[0] for name in added} <= {
        'mmdet_ifan',
        *sys.stdlib_module_names,
    }
    # What only tools use waits until one asks for it.
    assert (
        not {
            f'mmdet_ifan.{name}'
            for name in (
                'analysis',
                'deployment',
                'engine.checks.doctor',
                'mini_city',
                'preparation',
                'runs',
            )
        }
        & added
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    'arguments, named',
    [
        (['train.py', 'no/config.py'], 'no/config.py'),
        (['train.py', CONFIGS[0], '--resume', 'no.pth'], 'no.pth'),
        (['test.py', CONFIGS[0], 'no.pth'], 'no.pth'),
        (['test.py', CONFIGS[0], CONFIGS[0], '--out', 'a.pkl'], 'a.pkl'),
        (['doctor.py', 'no/config.py'], 'no/config.py'),
        (['browse_pairs.py', 'no/config.py', '--out', 'a'], 'no/config.py'),
        (['browse_pairs.py', CONFIGS[0], '--out', 'a', '-n', '0'], '-n'),
        (['export.py', CONFIGS[0], 'no.pth', '--out', 'a'], 'no.pth'),
        (['analysis/errors.py', CONFIGS[0], 'a.pth', 'b.pth', '--out', 'a'], 'a.pth'),
        (['analysis/features.py', CONFIGS[0], 'x=a.pth', '--out', 'a'], 'a.pth'),
        (
            ['analysis/features.py', CONFIGS[0], 'a.pth', '--out', 'a'],
            'NAME=CHECKPOINT',
        ),
        (
            [
                'analysis/features.py',
                CONFIGS[0],
                f'x={CONFIGS[0]}',
                f'x={CONFIGS[0]}',
                '--out',
                'a',
            ],
            'x names two checkpoints',
        ),
        (['analysis/curves.py', IMAGES, '--out', 'a.png'], 'docs/images'),
        # Folders that hold something.
        (['export.py', CONFIGS[0], CONFIGS[0], '--out', IMAGES], 'docs/images'),
        (['browse_pairs.py', CONFIGS[0], '--out', IMAGES], 'docs/images'),
    ],
)
def test_missing_file_is_named(arguments, named):
    script, *rest = arguments
    result = run_tool(script, *rest, cwd=ROOT)
    assert result.returncode == 2
    assert 'Traceback' not in result.stderr
    assert 'error: ' in result.stderr and named in result.stderr


def test_mim_search(wheel):
    """Every config is listed, under its own name, and nothing else."""
    from mim.commands.search import convert2df
    from modelindex.load_model_index import load

    mim = wheel / 'mmdet_ifan' / '.mim'
    index = load(str(mim / 'model-index.yml'))
    assert not index.check_errors
    table = convert2df(index)
    assert sorted(table.index) == sorted(path.stem for path in CONFIGS)
    assert all((mim / config).is_file() for config in table['config'])
    assert set(table['model']) <= {
        'adda',
        'da-faster',
        'dt+ft',
        'ifan',
        'ifan ablations',
        'mean teachers',
        'mtor',
        'oracle',
        'few-shot',
        'selectalign',
        'source-only',
        'strong-weak',
    }
    assert 'weight' not in table


def test_versions_agree():
    from mmdet_ifan.version import __version__

    assert f'version: {__version__}' in (ROOT / 'CITATION.cff').read_text()
