"""Images that the generators painted some steps ago."""

from typing import Any

import torch
from torch import Tensor, nn

from ..models.layers import at_least_float


class ImagePool(nn.Module):
    """Show a classifier older painted images as well as new ones.

    Until the pool is full it stores each new image and returns it. Afterwards
    it returns the new one with probability 1/2, or else a random stored one,
    whose place the new one takes. The images are in the state of the module,
    so a resumed run continues with them; each process has its own.

    Args:
        size (int): Number of images, >= 0; with 0 every image is returned.
            Defaults to 50.
    """

    images: Tensor

    def __init__(self, size: int = 50) -> None:
        super().__init__()
        self.size = size
        self.register_buffer('images', torch.zeros(0))

    @torch.no_grad()
    def query(self, images: Tensor) -> Tensor:
        """Exchange images for those that the classifier is to see.

        Args:
            images (Tensor): New images (N, 3, H, W).

        Returns:
            Tensor: As many images, float32 or float64, without gradient.

        Raises:
            ValueError: If stored images have another size.
        """
        if len(self.images) and self.images.shape[1:] != images.shape[1:]:
            raise ValueError(
                f'Images of {images.shape[2]} x {images.shape[3]} px follow others '
                f'of {self.images.shape[2]} x {self.images.shape[3]} px: let '
                'RandomCrop cut all of a domain to one size.'
            )
        return torch.stack([self._exchange(at_least_float(image)) for image in images])

    def _exchange(self, image: Tensor) -> Tensor:
        """Exchange an image (3, H, W)."""
        if len(self.images) < self.size:
            stored = [self.images] if len(self.images) else []
            self.images = torch.cat([*stored, image[None]])
            return image
        # Drawn on the CPU: nothing waits for a GPU.
        if not self.size or torch.rand(()) < 0.5:
            return image
        place = int(torch.randint(self.size, ()))
        old = self.images[place].clone()
        self.images[place] = image
        return old

    def _load_from_state_dict(self, state: dict, prefix: str, *args: Any) -> None:
        """Make room for the images of a checkpoint."""
        found = state.get(f'{prefix}images')
        if found is not None:
            self.images = self.images.new_empty(found.shape)
        super()._load_from_state_dict(state, prefix, *args)
