"""A number that goes wrong is named, saved, and kept from the weights."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from mmdet_ifan.datasets.random_states import set_random_state
from mmdet_ifan.engine import FiniteCheckHook, LateLaunchHook
from mmdet_ifan.engine.robustness.divergence import history
from mmdet_ifan.utils.named_configs import config_path

CLASSES = ('person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle')


class Poison(Hook):
    """Make a module's second call, the target's, go wrong."""

    def __init__(self, part: str, what: str, iterations: range) -> None:
        self.part, self.what, self.iterations = part, what, iterations
        self.weights: list[Tensor] = []
        self.norms: list[Tensor] = []
        self.calls = 0

    def before_train(self, runner: Runner) -> None:
        runner.model.get_submodule(self.part).register_forward_hook(
            lambda *args: self.spoil(runner.iter, args[-1])
        )

    def spoil(self, iteration: int, output: Tensor) -> Tensor | None:
        self.calls += 1
        if iteration not in self.iterations or self.calls % 2:
            return None
        if self.what == 'loss':
            return output * float('nan')
        if self.what == 'large':
            return output * 300
        output = output * 1
        output.register_hook(lambda gradient: gradient * float('inf'))
        return output

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.calls = 0
        self.weights.append(flat(runner.model.parameters()))
        self.norms.append(flat(runner.model.buffers()))


def flat(tensors) -> Tensor:
    """Write a model's numbers as one vector."""
    return torch.cat(
        [t.detach().flatten().double() for t in tensors] or [torch.zeros(1)]
    )


@pytest.fixture
def make_runner(write_coco: Callable, tmp_path: Path, configs: Path):
    """Maker of a training of five steps that goes wrong in some."""

    made: list[Runner] = []

    def make(
        poison: Poison,
        config: str = 'ifan_mini-city',
        hook: dict | None = None,
        default_hooks: dict | None = None,
        **options,
    ) -> Runner:
        cfg = Config.fromfile(config_path(f'{config}.py'))
        np.random.seed(0)
        for name in 'st':
            write_coco(
                f'{name}.json',
                [(f'{name}{i}.png', (64, 96)) for i in range(3)],
                [(i, 'car', (10, 10, 40, 30)) for i in range(3)],
                categories=CLASSES,
            )
        root = dict(data_root=str(tmp_path))
        cfg.merge_from_dict(
            dict(
                train_dataloader=dict(
                    batch_size=2,
                    num_workers=0,
                    persistent_workers=False,
                    dataset=dict(
                        source=dict(ann_file='s.json', **root),
                        target=dict(images='t.json', **root),
                    ),
                ),
                train_cfg=dict(max_iters=5, val_interval=100),
                default_hooks={
                    'checkpoint': dict(interval=100),
                    'logger': dict(interval=1),
                    'finite_check': hook or {},
                    **(default_hooks or {}),
                },
                work_dir=str(tmp_path / 'run'),
                # mmengine keeps one of each name.
                experiment_name=f'{tmp_path.name}_{len(made)}',
                visualizer=dict(name=f'{tmp_path.name}_{len(made)}'),
                log_level='ERROR',
                load_from=None,
                **options,
            )
        )
        cfg.param_scheduler = []
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
        cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
        cfg.default_hooks.late_launch.launch = dict(image=0)
        runner = Runner.from_cfg(cfg)
        runner.register_hook(poison, 'VERY_HIGH')
        made.append(runner)
        return runner

    return make


def saved(tmp_path: Path) -> list[Path]:
    """Find what has been written down."""
    return sorted(tmp_path.rglob('nonfinite/*.json'))


@pytest.mark.slow
@pytest.mark.parametrize(
    ('what', 'sentence'),
    [
        ('loss', 'loss_phi2 of the alignment image is nan'),
        ('gradient', 'the gradient of loss_phi2 of the alignment image is not finite'),
    ],
)
def test_stop_names_the_term_the_domain_and_the_images(
    make_runner, tmp_path, what, sentence
):
    poison = Poison('neck.classifiers.1', what, range(2, 3))
    runner = make_runner(poison)
    with pytest.raises(FloatingPointError) as error:
        runner.train()
    text = str(error.value)
    assert f'At iteration 2 {sentence}, by the target image' in text
    assert 'by the source image' not in text
    assert f'{tmp_path}/s' in text.split('Images of the step: source ')[1]
    assert 'Weights and images are finite' in text
    # As it was before the step, which is the third.
    assert torch.equal(flat(runner.model.parameters()), poison.weights[2])
    assert not torch.equal(poison.weights[1], poison.weights[2])
    (path,) = saved(tmp_path)
    record = json.loads(path.read_text())
    (term,) = record['terms']
    assert term['term'] == 'image/loss_phi2'
    assert term['loss'] == (what == 'gradient')
    assert all('the target image' in image for image in term['images'])
    assert len(record['images']['source']) == 2
    # The saved step can be computed again.
    step = torch.load(path.with_suffix('.pth'), weights_only=False)
    model = runner.model.train()
    model.load_state_dict(step['state_dict'])
    set_random_state(step['random_state'])
    data = model.data_preprocessor(step['batch'], True)
    _, losses = model.parse_losses(model(**data, mode='loss'))
    for name in ('loss_cls', 'loss_rpn_bbox', 'image/loss_phi1'):
        assert losses[name].item() == record['losses'][name]


@pytest.mark.slow
@pytest.mark.parametrize('what', ['loss', 'gradient'])
def test_skip_leaves_no_trace(make_runner, tmp_path, what):
    poison = Poison('neck.global_trunk.0', what, range(2, 3))
    # Its batch normalisation has seen what went wrong.
    runner = make_runner(poison, 'strong-weak_mini-city', dict(action='skip'))
    runner.train()
    weights, norms = poison.weights, poison.norms
    assert torch.equal(weights[3], weights[2])
    assert torch.equal(norms[3], norms[2])
    for before, after in ((1, 2), (3, 4)):
        assert not torch.equal(weights[before], weights[after])
        assert not torch.equal(norms[before], norms[after])
    assert flat(runner.model.state_dict().values()).isfinite().all()
    (log,) = tmp_path.rglob('scalars.json')
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    assert [step['skipped_steps'] for step in steps] == [0, 0, 0, 1, 1]
    assert [path.stem for path in saved(tmp_path)] == ['iter_2_rank_0']


@pytest.mark.slow
def test_skip_has_a_limit(make_runner, tmp_path):
    poison = Poison('neck.classifiers.0', 'loss', range(1, 5))
    runner = make_runner(poison, hook=dict(action='skip', max_skips=2))
    with pytest.raises(
        FloatingPointError, match='At iteration 3 .*2 steps had been skipped'
    ):
        runner.train()
    assert len(saved(tmp_path)) == 3


def test_a_finite_step_that_outweighs_detection_stops(make_runner, tmp_path):
    # Least squares of outputs that should be near 1: 150 squared, a tenth.
    poison = Poison('neck.classifiers.1', 'large', range(3, 5))
    runner = make_runner(poison, default_hooks=dict(checkpoint=dict(interval=2)))
    with pytest.raises(FloatingPointError) as error:
        runner.train()
    text = str(error.value)
    assert 'At iteration 3 loss_phi2 of the alignment image is' in text
    assert 'times the detection loss' in text
    assert 'launched at iteration 0' in text
    assert 'lower the loss_weight' in text
    # The checkpoint from before it.
    assert f'{tmp_path}/run/iter_2.pth is from before it' in text
    assert (tmp_path / 'run/iter_2.pth').is_file()
    assert torch.equal(flat(runner.model.parameters()), poison.weights[3])
    (path,) = saved(tmp_path)
    record = json.loads(path.read_text())
    assert len(record['diverged']) == 1
    assert record['losses']['image/loss_phi2'] > 20


@pytest.mark.slow
def test_a_diverged_step_can_be_skipped_or_let_through(make_runner, tmp_path):
    large = [Poison('neck.classifiers.1', 'large', range(2, 3)) for _ in range(2)]
    make_runner(large[0], hook=dict(action='skip')).train()
    assert torch.equal(large[0].weights[2], large[0].weights[3])
    assert not torch.equal(large[0].weights[3], large[0].weights[4])
    make_runner(large[1], hook=dict(divergence=None)).train()
    assert not torch.equal(large[1].weights[2], large[1].weights[3])
    assert len(saved(tmp_path)) == 1


@pytest.mark.slow
@pytest.mark.parametrize('clip', [None, dict(max_norm=1e-3)])
def test_the_norm_before_clipping_is_logged(make_runner, clip):
    runner = make_runner(
        Poison('neck', '', range(0)), optim_wrapper=dict(clip_grad=clip)
    )
    norms = []
    runner.register_hook(Norms(norms))
    runner.train()
    logged = history(runner.message_hub, 'train/grad_norm')
    assert list(logged) == pytest.approx(norms, rel=1e-4)


class Norms(Hook):
    """Compute the norm of the gradients before anything changes them."""

    def __init__(self, norms: list[float]) -> None:
        self.norms = norms

    def before_train(self, runner: Runner) -> None:
        wrapper = runner.optim_wrapper
        step = wrapper.step

        def listen(**kwargs) -> None:
            self.norms.append(
                torch.cat(
                    [
                        p.grad.flatten()
                        for p in runner.model.parameters()
                        if p.grad is not None
                    ]
                )
                .norm()
                .item()
            )
            step(**kwargs)

        wrapper.step = listen


def test_a_fall_on_source_names_what_was_launched(make_runner):
    runner = make_runner(Poison('neck', '', range(0)))
    runner.train()
    warnings = []
    runner.logger.warning = warnings.append
    (hook,) = (h for h in runner.hooks if isinstance(h, FiniteCheckHook))
    hub = runner.message_hub
    for name, start in (('image', 0), ('correlation', 40)):
        hub.log_scalars.pop(f'train/{name}/launched', None)
        for i in range(60):
            hub.update_scalar(f'train/{name}/launched', float(i >= start))
    for iteration, score in ((10, 20.0), (20, 60.0), (50, 31.0), (60, 29.0)):
        assert not warnings
        runner.train_loop._iter = iteration
        hook.after_val_epoch(runner, {'source/mAP50': score})
    (text,) = warnings
    assert 'from 60.0 at iteration 20 to 29.0 at iteration 60' in text
    assert 'Launched in between: correlation (iteration 40).' in text
    # A pair without boxes to test on.
    hook.after_val_epoch(runner, {'target/mAP50': 0.0})
    hook.after_val_epoch(runner, None)
    assert len(warnings) == 1


def test_a_launch_between_accumulated_steps(make_runner):
    """One step of an update has terms that the other has not."""
    runner = make_runner(
        Poison('neck', '', range(0)), optim_wrapper=dict(accumulative_counts=2)
    )
    (hook,) = (
        h
        for h in runner.hooks
        if isinstance(h, LateLaunchHook) and list(h.launch) == ['image']
    )
    hook.launch['image'], hook.bounds['image'] = 1, (1, 1)
    runner.train()
    assert runner.iter == 5


@pytest.mark.slow
def test_accumulated_steps_are_dropped_together(make_runner, tmp_path):
    poison = Poison('neck.classifiers.0', 'loss', range(2, 3))
    runner = make_runner(
        poison, hook=dict(action='skip'), optim_wrapper=dict(accumulative_counts=2)
    )
    runner.train()
    weights = poison.weights
    assert torch.equal(weights[2], weights[4])
    assert not torch.equal(weights[1], weights[2])
    # Only the one of the two at fault.
    assert [path.stem for path in saved(tmp_path)] == ['iter_2_rank_0']
    assert flat(runner.model.parameters()).isfinite().all()


def test_weights_that_are_not_finite_are_named(make_runner):
    poison = Poison('neck', '', range(0))
    runner = make_runner(poison)
    # After the weights are initialised.
    poison.before_train = lambda runner: torch.nn.init.constant_(
        runner.model.rpn_head.rpn_cls.bias, float('inf')
    )
    with pytest.raises(
        FloatingPointError,
        match='rpn_head.rpn_cls.bias of the weights were not finite before',
    ):
        runner.train()


@pytest.mark.slow
def test_a_healthy_training_is_as_without(make_runner):
    results = []
    for left_out in ((), FiniteCheckHook):
        runner = make_runner(Poison('neck', '', range(0)))
        runner._hooks = [
            hook for hook in runner.hooks if not isinstance(hook, left_out)
        ]
        runner.train()
        results.append(flat(runner.model.parameters()))
    assert torch.equal(*results)


def make_amp(runner: Runner, init_scale: float) -> None:
    """Put a loss scaler in front of the optimizer, on the CPU."""
    plain = runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    amp = AmpOptimWrapper.__new__(AmpOptimWrapper)
    OptimWrapper.__init__(amp, plain.optimizer)
    amp._scale_update_param = None
    # mmcv's operators have no half precision on the CPU.
    amp.optim_context = lambda model: nullcontext()
    amp.loss_scaler = torch.amp.GradScaler('cpu', init_scale=init_scale)
    runner.optim_wrapper = amp


@pytest.mark.slow
@pytest.mark.parametrize('fused', [True, False])
def test_overflow_is_the_loss_scalers(make_runner, tmp_path, fused):
    poison = Poison('neck.classifiers.0', 'gradient', range(1, 3))
    runner = make_runner(poison, optim_wrapper=dict(optimizer=dict(fused=fused)))
    make_amp(runner, 1024.0)
    runner.train()
    assert torch.equal(poison.weights[1], poison.weights[3])
    assert not torch.equal(poison.weights[3], poison.weights[4])
    assert runner.optim_wrapper.loss_scaler.get_scale() == 256
    assert not saved(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('fused', [True, False])
@pytest.mark.parametrize(('what', 'iteration'), [('loss', 1), ('gradient', 3)])
def test_what_no_scale_mends(make_runner, fused, what, iteration):
    poison = Poison('neck.classifiers.0', what, range(1, 5))
    runner = make_runner(poison, optim_wrapper=dict(optimizer=dict(fused=fused)))
    # Two overflows go to the scaler: 2, 1, and then 0.5.
    make_amp(runner, 2.0 if fused else 4.0)
    with pytest.raises(
        FloatingPointError, match=f'At iteration {iteration} .*loss_phi1'
    ):
        runner.train()
    assert flat(runner.model.parameters()).isfinite().all()


@pytest.mark.parametrize(
    'wrong', [dict(action='ignore'), dict(action='skip', max_skips=-1)]
)
def test_wrong_arguments(wrong):
    with pytest.raises(ValueError, match="'stop' or 'skip' and max_skips"):
        FiniteCheckHook(**wrong)


def test_every_config_stops(configs):
    for path in configs.glob('*.py'):
        hook = Config.fromfile(path).default_hooks.finite_check
        assert hook == dict(type='FiniteCheckHook', action='stop')
