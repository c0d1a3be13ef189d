"""Name, skip and count images that cannot be loaded."""

import os.path as osp
from typing import Any

import cv2
import torch

from ..utils.errors import DataError, name_some, warn

#: What the loading transform raises for an image that it cannot load.
UNREADABLE = (AssertionError, OSError, cv2.error)


class NamesUnreadableImages:
    """Let a data set name, skip and count images that cannot be loaded.

    Args:
        max_unreadable (int): Maximum number of distinct unreadable images
            that training may skip; each is replaced by the next one in the
            list. Testing skips none. Defaults to 0.

    Attributes:
        unreadable (Tensor): Images found unreadable so far, booleans of
            shape (N, ). The workers of a data loader share it.
    """

    def __init__(self, *args: Any, max_unreadable: int = 0, **kwargs: Any) -> None:
        if not isinstance(max_unreadable, int) or max_unreadable < 0:
            raise ValueError(
                f'max_unreadable must be an integer >= 0, but got {max_unreadable!r}.'
            )
        self.max_unreadable = max_unreadable
        super().__init__(*args, **kwargs)

    @property
    def skippable(self) -> int:
        """int: Maximum number of images that may be skipped."""
        return 0 if self.test_mode else self.max_unreadable  # type: ignore

    def full_init(self) -> None:
        """Read the list of images, and mark none as unreadable."""
        super().full_init()  # type: ignore[misc]
        if not hasattr(self, 'unreadable'):
            self.unreadable = torch.zeros(len(self), dtype=torch.bool).share_memory_()  # type: ignore

    def prepare_data(self, idx: int) -> Any:
        """Load an image with its annotations through the pipeline.

        Args:
            idx (int): Index of the image.

        Returns:
            Any: Result of the pipeline; that of the next image if this one
            cannot be loaded.

        Raises:
            DataError: If too many images are unreadable, or the image's
                folder is gone.
        """
        try:
            return super().prepare_data(idx)  # type: ignore[misc]
        except UNREADABLE as error:
            path = self._path(idx)
            what = f'The image {path} cannot be loaded ({error})'
            if not osp.isdir(osp.dirname(path)):
                raise DataError(
                    f'{what}: its folder is gone. Check that its disk is '
                    'mounted, then resume the run.'
                ) from error
            if not self.skippable:
                raise DataError(
                    f'{what}: replace it with an intact copy, or remove it '
                    'from its list or folder.'
                ) from error
            following = (idx + 1) % len(self.unreadable)
            if not self.unreadable[idx]:
                self.unreadable[idx] = True
                warn(f'{what}: {self._path(following)} takes its place.')
            if self.unreadable.sum() > min(self.skippable, len(self.unreadable) - 1):
                raise DataError(
                    f'{what}. {int(self.unreadable.sum())} of '
                    f'{len(self.unreadable)} images cannot, and '
                    f'max_unreadable allows {self.skippable}: '
                    f'{name_some(self.unreadable_paths())}. Replace them with '
                    'intact copies, or remove them.'
                ) from error
        # Not a random image: the replacement depends on the list alone.
        return self.prepare_data(following)

    def unreadable_paths(self) -> list[str]:
        """List the images that were found unreadable so far."""
        indices = self.unreadable.nonzero()[:, 0].tolist()
        return [self._path(i) for i in indices]

    def _path(self, idx: int) -> str:
        """Give an image's path."""
        return self.get_data_info(idx)['img_path']  # type: ignore
