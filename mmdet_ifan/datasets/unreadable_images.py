"""What a data set does about images that cannot be loaded."""
import logging
import os.path as osp
from typing import Any

import cv2
import torch
from mmengine.logging import print_log

from ..utils.errors import DataError
from ..utils.text import name_some


class NamesUnreadableImages:
    """Part of a data set: an image that cannot be loaded is named.

    Args:
        max_unreadable (int): So many images training skips, each whenever it
            is drawn, for the one that follows it in the list; one more is an
            error. While testing, the first one is. Defaults to 0.

    Attributes:
        unreadable (Tensor): Booleans (N, ), which images were found
            unreadable. The workers of a data loader share it.
    """

    def __init__(self, *args: Any, max_unreadable: int = 0,
                 **kwargs: Any) -> None:
        if not isinstance(max_unreadable, int) or max_unreadable < 0:
            raise ValueError('max_unreadable must be an integer >= 0, but '
                             f'got {max_unreadable!r}.')
        self.max_unreadable = max_unreadable
        super().__init__(*args, **kwargs)

    @property
    def skippable(self) -> int:
        """int: So many unreadable images are no error."""
        return 0 if self.test_mode else self.max_unreadable  # type: ignore

    def full_init(self) -> None:
        """Read the list of images."""
        super().full_init()  # type: ignore[misc]
        if not hasattr(self, 'unreadable'):
            self.unreadable = torch.zeros(
                len(self), dtype=torch.bool).share_memory_()  # type: ignore

    def prepare_data(self, idx: int) -> Any:
        """Load an image and what belongs to it through the pipeline.

        Args:
            idx (int): Index of the image.

        Returns:
            Any: What the pipeline makes of it, or of the next image if it
            cannot be loaded.

        Raises:
            DataError: If it is one unreadable image too many, or its folder
                is gone.
        """
        try:
            return super().prepare_data(idx)  # type: ignore[misc]
        except (AssertionError, OSError, cv2.error) as error:
            path = self._path(idx)
            what = f'The image {path} cannot be loaded ({error})'
            if not osp.isdir(osp.dirname(path)):
                raise DataError(
                    f'{what}: its folder is gone. Is its disk still there? '
                    'Then resume the training.') from error
            if not self.skippable:
                raise DataError(
                    f'{what}: get a whole copy of it, or take it out of its '
                    'list or folder.') from error
            following = (idx + 1) % len(self.unreadable)
            if not self.unreadable[idx]:
                self.unreadable[idx] = True
                print_log(
                    f'{what}: {self._path(following)} takes its place.',
                    logger='current',
                    level=logging.WARNING)
            if self.unreadable.sum() > min(self.skippable,
                                           len(self.unreadable) - 1):
                raise DataError(
                    f'{what}. {int(self.unreadable.sum())} of '
                    f'{len(self.unreadable)} images cannot, and '
                    f'max_unreadable allows {self.skippable}: '
                    f'{name_some(self.unreadable_paths())}. Get whole copies '
                    'of them, or take them out.') from error
        # Not a random one: which it is depends on nothing but the list.
        return self.prepare_data(following)

    def unreadable_paths(self) -> list[str]:
        """Name the images that were found unreadable so far."""
        indices = self.unreadable.nonzero()[:, 0].tolist()
        return [self._path(i) for i in indices]

    def _path(self, idx: int) -> str:
        """Give an image's path."""
        return self.get_data_info(idx)['img_path']  # type: ignore
