"""Parts for the configs of ``test_two_processes.py``, in every process."""

import torch
from mmdet.models.roi_heads import SingleRoIExtractor
from mmdet.models.task_modules import RandomSampler
from mmdet.registry import HOOKS, MODELS, TASK_UTILS
from mmengine.dist import all_gather_object, get_rank, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmdet_ifan.models import IFANDetector


def unwrapped(runner):
    """The detector itself."""
    model = runner.model
    return model.module if is_model_wrapper(model) else model


@MODELS.register_module()
class DoubleDetector(IFANDetector):
    """Computes all but losses and boxes in double precision.

    Sums over a batch are rounded in another order than those over its images. In
    single precision that makes proposals of almost equal scores change places.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.double()
        for module in self.modules():
            if module is self.backbone or isinstance(module, SingleRoIExtractor):
                module.register_forward_pre_hook(lambda _, x: cast(x, torch.double))
        # mmcv's NMS takes single precision alone.
        for head in (self.rpn_head, self.roi_head.bbox_head):
            head.register_forward_hook(lambda _, x, y: cast(y, torch.float))


def cast(tensors, dtype):
    """Cast the tensors in nested lists and tuples."""
    if isinstance(tensors, torch.Tensor):
        return tensors.to(dtype)
    return type(tensors)(cast(each, dtype) for each in tensors)


@TASK_UTILS.register_module()
class EvenSampler(RandomSampler):
    """Takes every so manyth box: an image's are the same in any batch."""

    def random_choice(self, gallery, num):
        return gallery[torch.arange(num) * len(gallery) // num]


@HOOKS.register_module()
class RecordSteps(Hook):
    """Writes down what all processes computed in each iteration."""

    priority = 'LOWEST'

    def before_train(self, runner):
        self.steps = {}

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        model = unwrapped(runner)
        weights = torch.cat([p.flatten() for p in model.parameters()]).detach()
        mine = dict(
            weights=weights,
            launched=[
                name
                for name, part in getattr(model, 'all_alignments', {}).items()
                if part.launched
            ],
            plateaus=[
                dict(hook.plateau.means)
                for hook in runner.hooks
                if getattr(hook, 'plateau', None)
            ],
            values={key: value.item() for key, value in outputs.items()},
            images=[
                [sample.img_path, sample.get('flip')]
                for samples in data_batch['data_samples'].values()
                for sample in samples
            ],
        )
        processes = all_gather_object(mine)
        self.steps[runner.iter] = dict(
            weights=weights.clone(),
            same_weights=all(
                torch.equal(weights, other.pop('weights')) for other in processes
            ),
            processes=processes,
        )

    def after_train(self, runner):
        if is_main_process():
            torch.save(self.steps, f'{runner.work_dir}/steps.pt')


@HOOKS.register_module()
class SpoilStep(Hook):
    """Makes the second process's first tap go wrong at one iteration."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train(self, runner):
        unwrapped(runner).neck.classifiers[0].register_forward_hook(
            lambda module, args, output: (
                output * float('nan')
                if runner.iter == self.iteration and get_rank() == 1
                else None
            )
        )
