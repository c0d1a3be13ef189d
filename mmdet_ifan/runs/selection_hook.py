"""Score each checkpoint of a run without target labels, as it is saved."""

from functools import partial
from pathlib import Path

from mmdet.registry import HOOKS
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..analysis.selection import Images, Selection, Settings, checkpoints_in
from ..deployment.checkpoint_config import detector_of


@HOOKS.register_module()
class SelectionHook(Hook):
    """Rank the checkpoints of a run on target images that have no labels.

    Each checkpoint is scored when it is saved, from its file: these are the
    averaged weights if a run averages them. Scores are logged as
    ``selection/…``; the folder ``selection`` in the work folder has the table.
    The run ends by naming the checkpoint that each score would deploy. Training
    is bit for bit the same as without the hook. Checkpoints that
    ``max_keep_ckpts`` has removed are out of the choice.

    Args:
        images (int): Number of images of each domain. Defaults to 100.
        **kwargs: Further arguments of :class:`Settings`.

    Examples:
        >>> custom_hooks = [
        ...     dict(type='mmdet_ifan.runs.selection_hook.SelectionHook')]
        >>> default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1))
    """

    #: After the hook that saves.
    priority = 'LOWEST'

    def __init__(self, images: int = 100, **kwargs: int | float | str) -> None:
        self.settings = Settings(images=images, **kwargs)  # type: ignore[arg-type]
        self.scored: str | None = None
        self.selection: Selection | None = None

    def after_train_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        """Score a checkpoint that has just been saved."""
        self._score(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Score a checkpoint that has just been saved."""
        self._score(runner)

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Name the checkpoint that each score would deploy."""
        page = Path(runner.work_dir, 'selection', 'selection.md')
        if self.scored:
            print_log(f'Without a target label:\n{page.read_text()}', logger='current')

    @master_only
    def _score(self, runner: Runner) -> None:
        """Score the checkpoints that are new."""
        last = runner.message_hub.get_info('last_ckpt')
        if last is None or last == self.scored:
            return
        self.scored = last
        folder = Path(runner.work_dir)
        if self.selection is None:
            # Once: it reads every image.
            images = Images(runner.cfg, self.settings.images)
            load = partial(
                detector_of,
                cfg=runner.cfg,
                classes=images.classes,
                device=next(runner.model.parameters()).device,
            )
            self.selection = Selection(
                images, self.settings, folder / 'selection', load
            )
        content = self.selection.measure(checkpoints_in(folder))
        row = content['candidates'][Path(last).stem]
        runner.visualizer.add_scalars(
            {f'selection/{name}': value for name, value in row['scores'].items()},
            step=row['iteration'],
        )
