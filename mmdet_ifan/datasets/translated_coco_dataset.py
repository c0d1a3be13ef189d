"""Labelled images of one domain in the look of another."""

from pathlib import Path

from mmdet.registry import DATASETS

from .domain_coco_dataset import DomainCocoDataset


@DATASETS.register_module()
class TranslatedCocoDataset(DomainCocoDataset):
    """Read translated images with the boxes of their originals.

    ``data_prefix['img']`` is the folder of the translations below
    ``data_root``. They lie in it as the originals do in ``data_root``, or in
    the folder that its data set would name. See ``tools/prepare/translate.py``.

    Raises:
        FileNotFoundError: If an image is not translated yet.
        DataError: If the images are no translations, or not of images of
            ``data_root``; see also :class:`DomainCocoDataset`.
    """

    MISSING = (
        'Translate them with tools/prepare/translate.py; the same command '
        'continues one that was interrupted.'
    )

    def load_data_list(self) -> list[dict]:
        """Read the file, and look where the images come from.

        Returns:
            list[dict]: mmdet's data info of each image.
        """
        # Here: importing the package must not import what prepares data.
        from ..preparation.translate import check_translations

        infos = super().load_data_list()
        check_translations(
            (Path(info['img_path']) for info in infos),
            Path(self.data_prefix['img']),
            Path(self.data_root),
        )
        return infos
