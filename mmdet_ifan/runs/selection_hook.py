"""Score each checkpoint of a run without target labels, as it is saved."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mmdet.registry import HOOKS
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..analysis.selection import Images, Selection, Settings, checkpoints_in
from ..analysis.selection_page import POOLED, SCORES, check_scores
from ..deployment.checkpoint_config import detector_of
from ..engine.robustness.safe_loading import UnsafeCheckpointError
from ..utils.errors import DataError, warn


@HOOKS.register_module()
class SelectionHook(Hook):
    """Rank the checkpoints of a run on target images that have no labels.

    Each checkpoint is scored when it is saved, from its file: these are the
    averaged weights if a run averages them. Scores are logged as
    ``selection/…``; the folder ``selection`` in the work folder has the table.
    The run ends by naming the checkpoint to deploy, and what each score prefers.
    Training is bit for bit the same as without the hook. Checkpoints that
    ``max_keep_ckpts`` has removed are out of the choice.

    If one cannot be scored, a warning says why, and the run goes on.

    Args:
        images (int): Number of images of each domain. Defaults to 100.
        scores (Sequence[str], optional): Names of the scores. Defaults to
            None, for those that need one pass over the images alone.
        **kwargs: Further arguments of :class:`Settings`.

    Raises:
        DataError: If there is no such score, or a setting is out of its range.

    Examples:
        >>> custom_hooks = [
        ...     dict(type='mmdet_ifan.runs.selection_hook.SelectionHook')]
        >>> default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1))
    """

    #: After the hook that saves.
    priority = 'LOWEST'

    def __init__(
        self,
        images: int = 100,
        scores: Sequence[str] | None = None,
        **kwargs: int | float | str,
    ) -> None:
        self.settings = Settings(images=images, **kwargs)  # type: ignore[arg-type]
        self.scores = (
            [score for score, disturbed in SCORES.items() if not disturbed]
            if scores is None
            else list(scores)
        )
        check_scores(self.scores)
        self.scored: str | None = None
        self.page: Path | None = None

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Read the images."""
        # A run that is resumed has scored it.
        self.scored = runner.message_hub.get_info('last_ckpt')
        self.images = Images(runner.cfg, self.settings.images)
        self.load = partial(
            detector_of,
            cfg=runner.cfg,
            classes=self.images.classes,
            device=next(runner.model.parameters()).device,
        )

    def after_train_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        """Score a checkpoint that has just been saved."""
        self._score(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Score a checkpoint that has just been saved."""
        self._score(runner)

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Name the checkpoint to deploy, and what each score prefers."""
        if self.page is not None:
            text = self.page.read_text()
            print_log(f'Without a target label:\n{text}', logger='current')

    @master_only
    def _score(self, runner: Runner) -> None:
        """Score the checkpoints that are new."""
        last = runner.message_hub.get_info('last_ckpt')
        if last is None or last == self.scored:
            return
        self.scored = last
        name, out = Path(last).stem, Path(runner.work_dir, 'selection')
        found = checkpoints_in(Path(last).parent)
        if name not in found:
            warn(f'{last} is not scored: there is no such iter_*.pth or epoch_*.pth.')
            return
        # Those of a later iteration are of an earlier run.
        numbers = {each: int(each.rpartition('_')[2]) for each in found}
        checkpoints = {
            each: found[each] for each in found if numbers[each] <= numbers[name]
        }
        selection = Selection(self.images, self.settings, out, self.load)
        try:
            content = selection.measure(checkpoints, self.scores)
        except (DataError, UnsafeCheckpointError) as error:
            warn(f'The checkpoints are not scored: {error}')
            return
        self.page = out / 'selection.md'
        row = content['candidates'][name]
        runner.visualizer.add_scalars(
            {
                f'selection/{score}': value
                for score, value in row['scores'].items()
                if score not in POOLED and math.isfinite(value)
            },
            step=row['iteration'],
        )
