"""Count the images that training skipped."""

from mmdet.registry import HOOKS
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...datasets import PairedDomainDataset
from ...datasets.unreadable_images import NamesUnreadableImages
from ...utils.errors import name_some


@HOOKS.register_module()
class UnreadableImagesHook(Hook):
    """Log the unreadable images of each domain at the end of training.

    They are skipped if ``max_unreadable`` of the data set allows it; the
    workers of all processes are counted together.
    """

    def after_train(self, runner: Runner) -> None:
        """Log how many there are, and name some."""
        pair = runner.train_dataloader.dataset
        if not isinstance(pair, PairedDomainDataset):
            return
        for name, part in (('source', pair.source), ('target', pair.target)):
            if not isinstance(part, NamesUnreadableImages):
                continue
            found = part.unreadable.int()
            all_reduce(found, op='max')
            part.unreadable.copy_(found.bool())
            paths = part.unreadable_paths()
            if paths:
                runner.logger.warning(
                    f'{len(paths)} of the {len(found)} {name} images could '
                    'not be loaded in this run and were replaced by others: '
                    f'{name_some(paths, 20)}.'
                )
