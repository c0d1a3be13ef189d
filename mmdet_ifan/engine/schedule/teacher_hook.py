"""Another detector as a teacher: the average, or one that was trained before.

Tarvainen and Valpola, NeurIPS 2017; Wang et al., CVPR 2019.
"""

import copy
from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import CheckpointLoader, Runner


@HOOKS.register_module()
class TeacherHook(EMAHook):
    """Average the detector's weights and let its terms see what these see.

    mmengine's ``EMAHook`` averages after each iteration, tests the averaged
    weights, saves them as the checkpoint's ``state_dict`` and resumes. This
    hook also hands the averaged detector to the one in training, where terms
    read it as ``target.teacher``. It is in testing mode, so dropout and batch
    normalisation are as at test time. Until the first update it equals the
    detector: both start from ``load_from`` if the config has it.

    Args:
        momentum (float): Share of the detector's weights that each iteration
            adds, in (0, 0.5]. Papers give the share that is kept: a decay of
            0.999 is a momentum of 0.001. Defaults to 0.001.
        **kwargs: Further arguments of mmengine's ``EMAHook``.

    Raises:
        ValueError: If ``momentum`` is out of range and, before training, if
            the model is no :class:`IFANDetector`.

    Examples:
        >>> default_hooks = dict(
        ...     teacher=dict(type='TeacherHook', momentum=0.01))
    """

    def __init__(self, momentum: float = 0.001, **kwargs: Any) -> None:
        if not 0 < momentum <= 0.5:
            raise ValueError(
                'momentum of TeacherHook is the share that each iteration adds, '
                f'in (0, 0.5], but got {momentum}: for a decay of 0.99 set '
                'momentum=0.01.'
            )
        super().__init__(momentum=momentum, **kwargs)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Start the average from a checkpoint, which may be weights alone."""
        if 'state_dict' not in checkpoint:
            checkpoint = dict(state_dict=checkpoint)
        super().after_load_checkpoint(runner, checkpoint)

    def before_train(self, runner: Runner) -> None:
        """Hand the averaged detector to the one in training."""
        super().before_train(runner)
        if not hasattr(self.src_model, 'follow'):
            raise ValueError(
                'TeacherHook hands the averaged weights to an IFANDetector, but '
                f'the model is a {type(self.src_model).__name__}: use EMAHook.'
            )
        if not self.ema_model.steps:
            # It was copied before the weights were initialised.
            self.ema_model.module.load_state_dict(self.src_model.state_dict())
        self.src_model.follow(self.ema_model.module.eval())


@HOOKS.register_module()
class FrozenTeacherHook(Hook):
    """Let terms see what a detector sees that was trained before.

    It is loaded anew for each run, resumed ones too, and never changes; no
    checkpoint holds it. It is in testing mode, and terms read it as
    ``source.teacher``.

    Args:
        checkpoint (str): Its checkpoint, of a detector of the same build, such
            as that of source-only training. Terms that it lacks are left as
            they are.

    Raises:
        ValueError: Before training, if the model is no :class:`IFANDetector`.

    Examples:
        >>> default_hooks = dict(teacher=dict(
        ...     type='FrozenTeacherHook', checkpoint='source-only.pth'))
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def before_train(self, runner: Runner) -> None:
        """Load the teacher and hand it to the detector in training."""
        model = runner.model
        if is_model_wrapper(model):
            model = model.module
        if not hasattr(model, 'follow'):
            raise ValueError(
                'FrozenTeacherHook hands a teacher to an IFANDetector, but the '
                f'model is a {type(model).__name__}: leave the hook out.'
            )
        teacher = copy.deepcopy(model)
        content = CheckpointLoader.load_checkpoint(self.checkpoint, map_location='cpu')
        # PreflightHook has compared it with the detector.
        teacher.load_state_dict(content.get('state_dict', content), strict=False)
        # The detector only refers to it.
        self.teacher = teacher.requires_grad_(False).eval()
        model.follow(self.teacher)
