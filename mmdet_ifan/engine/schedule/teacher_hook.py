"""The averaged detector as a teacher (Tarvainen and Valpola, NeurIPS 2017)."""

from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import EMAHook
from mmengine.runner import Runner


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
