"""What training and testing say of each other, before the first iteration."""
import os.path as osp
from collections.abc import Iterator

from mmdet.registry import HOOKS
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...datasets import DomainTestDataset, PairedDomainDataset
from ...utils.errors import DataError
from ...utils.text import name_some


@HOOKS.register_module()
class PairCheckHook(Hook):
    """Compare the data of training with those of the validation.

    Each data set checks its own files; only here are both at hand. Test
    images that are also trained on, be it without their boxes, are warned of:
    it may be meant, as for SIM10K, which has no test images.

    Raises:
        DataError: Before training, if the classes or their order differ.
    """

    def before_train(self, runner: Runner) -> None:
        """Check classes and images."""
        if runner.val_loop is None:
            return
        train = runner.train_dataloader.dataset
        test = runner.val_dataloader.dataset
        if (isinstance(train, PairedDomainDataset)
                and isinstance(test, DomainTestDataset)):
            for warning in self.compare(train, test):
                runner.logger.warning(warning)

    def compare(self, train: PairedDomainDataset,
                test: DomainTestDataset) -> Iterator[str]:
        """Compare two data sets.

        Args:
            train (PairedDomainDataset): What is trained on.
            test (DomainTestDataset): What is tested on.

        Yields:
            str: For each domain with test images that are trained on too, a
            sentence.

        Raises:
            DataError: If the classes or their order differ.
        """
        trained, tested = (
            tuple(dataset.metainfo['classes']) for dataset in (train, test))
        if trained != tested:
            raise DataError(
                f'Training has the classes {", ".join(trained)}, but testing '
                f"{', '.join(tested)}: give metainfo['classes'] the same "
                'names in the same order.')
        train_paths = _paths(train.source) | _paths(train.target)
        for domain, dataset in zip(('source', 'target'), test.datasets,
                                   strict=True):
            test_paths = _paths(dataset)
            shared = sorted(test_paths & train_paths)
            if shared:
                yield (
                    f'{len(shared)} of the {len(test_paths)} test images of '
                    f'{domain} are trained on too: {name_some(shared)}. Its '
                    'figures are not those of unseen images; correct ann_file '
                    'or images unless it is meant.')


def _paths(dataset: BaseDataset) -> set[str]:
    """Give the absolute paths of a data set's images."""
    return {
        osp.abspath(dataset.get_data_info(i)['img_path'])
        for i in range(len(dataset))
    }
