"""An assigner that takes nothing in an ignored region for background."""
from typing import Any

from mmdet.models.task_modules import AssignResult, MaxIoUAssigner
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData


@TASK_UTILS.register_module()
class RegionIgnoringAssigner(MaxIoUAssigner):
    """Assign as mmdet's ``MaxIoUAssigner``, but spare ignored regions.

    A proposal that would be background is neither positive nor negative if
    more than ``ignore_iof_thr`` of it lies in one ignored box (a crowd, a
    difficult object, a ``DontCare`` region). With the same threshold, the
    stock class also takes away the positives of a true object that stands in
    such a region, and ignores nothing in an image without true objects.

    Args:
        *args: Arguments of ``MaxIoUAssigner``.
        ignore_iof_thr (float): Share of a proposal in an ignored box. Not
            positive: ignored boxes are background. Defaults to 0.5.
        **kwargs: Further arguments of ``MaxIoUAssigner``, but for
            ``ignore_wrt_candidates``.
    """

    def __init__(self, *args: Any, ignore_iof_thr: float = 0.5,
                 **kwargs: Any) -> None:
        super().__init__(*args, ignore_iof_thr=ignore_iof_thr, **kwargs)

    def assign(self,
               pred_instances: InstanceData,
               gt_instances: InstanceData,
               gt_instances_ignore: InstanceData | None = None,
               **kwargs: Any) -> AssignResult:
        """Assign proposals to true boxes.

        Args:
            pred_instances (InstanceData): ``priors`` of shape (N, 4), in px.
            gt_instances (InstanceData): ``bboxes`` of shape (K, 4) and
                ``labels`` of shape (K, ).
            gt_instances_ignore (InstanceData, optional): ``bboxes`` of shape
                (M, 4). Defaults to None.
            **kwargs: Not used, as in mmdet.

        Returns:
            AssignResult: ``gt_inds`` of shape (N, ): -1 counts for nothing, 0
            is background, i + 1 is true box i.
        """
        result = super().assign(pred_instances, gt_instances)
        priors = pred_instances.priors
        if (self.ignore_iof_thr > 0 and gt_instances_ignore is not None
                and len(gt_instances_ignore) and len(priors)):
            shares = self.iou_calculator(
                priors, gt_instances_ignore.bboxes, mode='iof').amax(dim=1)
            background = result.gt_inds == 0
            result.gt_inds[background & (shares > self.ignore_iof_thr)] = -1
        return result
