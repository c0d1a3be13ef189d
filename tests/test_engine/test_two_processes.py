"""Two processes on CPUs, beside one on the same pairs.

Before, at and after each launch the processes agree, and together they compute
what one does.
"""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from processes import environment, free_port, run_tool
from torch.testing import assert_close

from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
_base_ = 'mmdet_ifan::{method}_mini-city.py'
custom_imports = dict(imports=['mmdet_ifan', 'recorded_steps'])
load_from = None
log_level = 'WARNING'
train_cfg = dict(max_iters=7, val_interval=100)
param_scheduler = []
default_hooks = dict(checkpoint=dict(interval=3, save_last=False))
train_dataloader = dict(
    batch_size=1, num_workers={workers}, persistent_workers={workers} > 0)
custom_hooks = [
    dict(type='LateLaunchHook', {launch}), dict(type='RecordSteps')
]
"""
LAUNCH = dict(image=1, instance=2, correlation=5)
#: Nothing is drawn for an image, so its batch does not matter. Rounding must
#: not either: scores far enough apart and in double precision, so that proposals
#: keep their order, and steps that are linear in the gradients (AdamW's turns the
#: last digit of one that is nearly 0 into a whole step).
NOTHING_DRAWN = """
even = dict(type='EvenSampler')
model = dict(
    type='DoubleDetector',
    rpn_head=dict(init_cfg=dict(type='Normal', layer='Conv2d', std=0.03)),
    train_cfg=dict(rpn=dict(sampler=even), rcnn=dict(sampler=even)))
load, boxes, pack = _base_.load, _base_.boxes, _base_.pack
train_dataloader.update(dataset=dict(
    source=dict(pipeline=[load, boxes, pack]),
    target=dict(pipeline=[load, pack])))
optim_wrapper = dict(optimizer=dict(
    _delete_=True, type='SGD', lr=0.002, momentum=0.9, weight_decay=5e-4))
"""
#: Enough for what has no launch later than the second iteration.
SHORT = """
train_cfg = dict(max_iters=4, val_interval=100)
default_hooks.update(checkpoint=dict(interval=2, save_last=False))
"""
PLATEAU = (
    "when='plateau', window=2, tolerance=1e9, "
    'launch=dict(image=0, instance=(1, 6), correlation=(1, 6))'
)


class Folder:
    """A folder to train in, with one or two processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        city = MiniCity(train=6, val=1, height=96, width=160)
        write_mini_city(path / 'data/mini_city', city, 1)
        prepare_cityscapes(path / 'data/mini_city', Options(workers=1))

    def write(
        self,
        name: str,
        launch: str,
        more: str = '',
        workers: int = 0,
        method: str = 'ifan',
    ) -> None:
        """Write a config."""
        (self.path / f'{name}.py').write_text(
            CONFIG.format(launch=launch, workers=workers, method=method) + more
        )

    def two(self, name: str, work_dir: str, *options: str) -> dict[int, dict]:
        """Train in two processes, started as torchrun starts them."""
        port = str(free_port())

        def train(rank: int) -> subprocess.CompletedProcess:
            return run_tool(
                'train.py',
                f'{name}.py',
                '--launcher',
                'pytorch',
                '--work-dir',
                work_dir,
                *options,
                cwd=self.path,
                env=environment(
                    Path(__file__).parent,
                    ROOT,
                    MASTER_ADDR='127.0.0.1',
                    MASTER_PORT=port,
                    WORLD_SIZE='2',
                    RANK=str(rank),
                    LOCAL_RANK=str(rank),
                ),
            )

        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(train, range(2)))
        for result in results:
            assert result.returncode == 0, result.stderr
        return self.steps(work_dir)

    def one(self, name: str, work_dir: str, **options) -> dict[int, dict]:
        """Train in this process."""
        cfg = Config.fromfile(self.path / f'{name}.py')
        # mmengine keeps one of each name.
        unique = f'{self.path.name}_{work_dir}'
        cfg.merge_from_dict(
            dict(
                work_dir=str(self.path / work_dir),
                experiment_name=unique,
                visualizer=dict(name=unique),
                **options,
            )
        )
        Runner.from_cfg(cfg).train()
        return self.steps(work_dir)

    def steps(self, work_dir: str) -> dict[int, dict]:
        """What the processes computed in each iteration."""
        return torch.load(self.path / work_dir / 'steps.pt')

    def log(self, work_dir: str) -> str:
        """The log of the latest run."""
        return sorted((self.path / work_dir).glob('*/*.log'))[-1].read_text()


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Folder:
    return Folder(tmp_path_factory.mktemp('two_processes'))


@pytest.fixture(autouse=True)
def in_folder(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder.path)
    monkeypatch.syspath_prepend(Path(__file__).parent)


@pytest.fixture(scope='module')
def two(folder) -> dict[int, dict]:
    """Two processes of one pair each, half the learning rate doubled."""
    folder.write(
        'scaled',
        f'launch={LAUNCH}',
        NOTHING_DRAWN + "optim_wrapper['optimizer']['lr'] = 0.001\n"
        'auto_scale_lr = dict(base_batch_size=1)\n',
    )
    return folder.two('scaled', 'two', '--auto-scale-lr')


@pytest.fixture(scope='module')
def one(folder) -> dict[int, dict]:
    """One process of two pairs."""
    folder.write('even', f'launch={LAUNCH}', NOTHING_DRAWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.path)
        patch.syspath_prepend(Path(__file__).parent)
        return folder.one('even', 'one', train_dataloader=dict(batch_size=2))


@pytest.fixture(scope='module')
def whole(folder) -> dict[int, dict]:
    """Two processes that draw, with workers, launching at plateaus."""
    folder.write('plateau', PLATEAU, workers=1)
    return folder.two('plateau', 'whole')


def images(step: dict) -> list:
    """The pairs of a step, whichever process had them."""
    return sorted(image for process in step['processes'] for image in process['images'])


def assert_same_losses(left: dict, right: dict, without: str = '-') -> None:
    """Compare the means over the processes of every term.

    How right the classifiers are is a share of positions or proposals of all
    images, so one that is 0.5 by chance may fall on either side.
    """
    means = [
        {
            key: sum(p['values'][key] for p in step['processes'])
            / len(step['processes'])
            for key in step['processes'][0]['values']
            if 'loss' in key and without not in key and key != 'loss'
        }
        for step in (left, right)
    ]
    assert means[0].keys() == means[1].keys()
    assert_close(*means, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ('run', 'expected'),
    [
        ('two', [0, 1, 2, 2, 2, 3, 3]),
        # Anything is stable: two windows of two iterations after a launch.
        ('whole', [1, 1, 1, 1, 2, 2, 3]),
    ],
)
def test_processes_agree(request, run, expected):
    steps = request.getfixturevalue(run)
    launched = [
        [process['launched'] for process in step['processes']]
        for step in steps.values()
    ]
    assert [len(names[0]) for names in launched] == expected
    assert all(names[0] == names[1] for names in launched)
    assert all(step['same_weights'] for step in steps.values())
    # Each draws pairs of its own.
    assert any(
        step['processes'][0]['images'] != step['processes'][1]['images']
        for step in steps.values()
    )


def test_as_one_process_on_the_whole_batch(one, two):
    """Correlation alone compares what is in a process, so it differs."""
    for i in range(6):
        assert images(one[i]) == images(two[i])
        assert_same_losses(one[i], two[i], without='correlation')
    for i in range(5):
        assert_close(one[i]['weights'], two[i]['weights'], rtol=1e-5, atol=1e-6)
    # Not by standing still.
    assert (one[4]['weights'] - one[0]['weights']).abs().max() > 1e-2
    assert set(one[6]['processes'][0]['values']) == set(
        two[6]['processes'][0]['values']
    )


def test_as_one_process_that_accumulates(folder, two):
    """Every term and every weight, bit for bit, through all launches."""
    launch = {name: 2 * iteration for name, iteration in LAUNCH.items()}
    folder.write(
        'accumulate',
        f'launch={launch}',
        NOTHING_DRAWN + 'optim_wrapper["accumulative_counts"] = 2\n'
        'train_cfg = dict(max_iters=14, val_interval=100)\n'
        'default_hooks = dict(checkpoint=dict(interval=100))\n',
    )
    halves = folder.one('accumulate', 'accumulate')
    for i, step in two.items():
        parts = [halves[2 * i], halves[2 * i + 1]]
        assert [part['processes'][0] for part in parts] == step['processes']
        assert torch.equal(parts[1]['weights'], step['weights'])
        if i:
            # The first half alone makes no step.
            assert torch.equal(parts[0]['weights'], two[i - 1]['weights'])


def test_resumed_by_two(folder, whole):
    rest = folder.two('plateau', 'rest', '--resume', 'whole/iter_3.pth')
    assert list(rest) == [3, 4, 5, 6]
    for i, step in rest.items():
        assert step['processes'] == whole[i]['processes']
        assert torch.equal(step['weights'], whole[i]['weights'])


@pytest.mark.parametrize(
    ('method', 'launch', 'terms'),
    [
        ('select-align', 'select_align=1', ['select_align']),
        (
            'few-shot',
            'split_pooling=1, semantic_pairs=1',
            ['split_pooling', 'semantic_pairs'],
        ),
    ],
)
def test_networks_with_losses_of_their_own(folder, method, launch, terms):
    """They draw, and opponents are called outside the wrapper."""
    game = f'game_{method}'
    # Few-shot pairs the images of a process.
    more = 'train_dataloader.update(batch_size=2)\n' * (method == 'few-shot')
    folder.write(game, f'launch=dict({launch})', SHORT + more, method=method)
    whole = folder.two(game, game)
    assert all(step['same_weights'] for step in whole.values())
    for i, step in whole.items():
        for process in step['processes']:
            for term in terms:
                assert (f'{term}/loss_detector' in process['values']) == (i >= 1)
    rest = folder.two(game, f'{game}_rest', '--resume', f'{game}/iter_2.pth')
    assert list(rest) == [2, 3]
    for i, step in rest.items():
        assert step['processes'] == whole[i]['processes']
        assert torch.equal(step['weights'], whole[i]['weights'])


def test_a_cycle_gan(folder):
    """All networks agree; each process has pairs and a pool of its own."""
    (folder.path / 'gan.py').write_text("""
_base_ = 'mmdet_ifan::cyclegan_mini-city.py'
custom_imports = dict(imports=['mmdet_ifan', 'recorded_steps'])
model = dict(
    generator=dict(width=4, num_blocks=1), classifier=dict(width=4), pool_size=2)
train_cfg = dict(max_iters=6)
param_scheduler = []
train_dataloader = dict(num_workers=0, persistent_workers=False)
custom_hooks = [dict(type='RecordSteps')]
""")
    steps = folder.two('gan', 'gan')
    assert all(step['same_weights'] for step in steps.values())
    assert len({str(p['values']) for p in steps[5]['processes']}) == 2
    assert any(
        step['processes'][0]['images'] != step['processes'][1]['images']
        for step in steps.values()
    )


@pytest.mark.parametrize(
    ('method', 'launch', 'loss'),
    [
        ('mtor', 'mtor=1', 'mtor/loss_region'),
        ('ifan-teacher', 'image=1, teacher=1', 'teacher/loss_category'),
    ],
)
def test_a_teacher(folder, method, launch, loss):
    """Every process averages, and the checkpoint has the average."""
    name = f'taught_{method}'
    folder.write(name, f'launch=dict({launch})', SHORT, method=method)
    whole = folder.two(name, name)
    assert all(step['same_weights'] for step in whole.values())
    thresholds = []
    for i, step in whole.items():
        for process in step['processes']:
            assert (loss in process['values']) == (i >= 1)
        if i and method == 'mtor':
            thresholds.append(process['values']['mtor/threshold'])
    assert thresholds == sorted(set(thresholds))
    rest = folder.two(name, f'{name}_rest', '--resume', f'{name}/iter_2.pth')
    assert list(rest) == [2, 3]
    for i, step in rest.items():
        assert step['processes'] == whole[i]['processes']
        assert torch.equal(step['weights'], whole[i]['weights'])


def test_resumed_by_one(folder, two):
    """The learning rate is that of two pairs, 0.01, as it was."""
    rest = folder.one(
        'scaled',
        'resumed_by_one',
        resume=True,
        load_from=str(folder.path / 'two/iter_3.pth'),
        auto_scale_lr=dict(enable=True),
        train_dataloader=dict(batch_size=2),
    )
    assert 'another optimizer' not in folder.log('resumed_by_one')
    assert list(rest) == [3, 4, 5, 6]
    for i in (3, 4, 5):
        assert images(rest[i]) == images(two[i])
        assert_same_losses(rest[i], two[i], without='correlation')
    assert_close(rest[4]['weights'], two[4]['weights'], rtol=1e-5, atol=1e-6)
    assert 'of 2 processes with 0 workers each, not of 1' in folder.log(
        'resumed_by_one'
    )


def test_resumed_by_two_that_skip_a_step_together(folder, one):
    """Another number of processes resumes; then one has a bad step."""
    folder.write(
        'spoilt',
        f'launch={LAUNCH}',
        NOTHING_DRAWN + "default_hooks['finite_check'] = dict(action='skip')\n"
        "custom_hooks += [dict(type='SpoilStep', iteration=5)]\n",
    )
    rest = folder.two('spoilt', 'spoilt', '--resume', 'one/iter_3.pth')
    for i in (3, 4):
        assert images(rest[i]) == images(one[i])
        assert_same_losses(rest[i], one[i])
        assert_close(rest[i]['weights'], one[i]['weights'], rtol=1e-5, atol=1e-6)
    assert all(step['same_weights'] for step in rest.values())
    assert torch.equal(rest[5]['weights'], rest[4]['weights'])
    assert not torch.equal(rest[6]['weights'], rest[5]['weights'])
    # Only the one at fault has something to save.
    (path,) = folder.path.glob('spoilt/**/nonfinite/*.json')
    assert path.name == 'iter_5_rank_1.json'
    (term,) = json.loads(path.read_text())['terms']
    assert term['term'] == 'image/loss_phi1'
