"""An assigner that keeps ignored regions out of the background."""

from typing import Any

from mmdet.models.task_modules import AssignResult, MaxIoUAssigner
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData


@TASK_UTILS.register_module()
class RegionIgnoringAssigner(MaxIoUAssigner):
    """Assign like mmdet's ``MaxIoUAssigner``, but spare ignored regions.

    A background proposal becomes neither positive nor negative if more than
    ``ignore_iof_thr`` of it lies in one ignored box (a crowd, a difficult
    object, a ``DontCare`` region). With this threshold, the stock class also
    drops the positives of a true object in such a region, and ignores nothing
    in an image without true objects.

    Args:
        *args: Arguments of ``MaxIoUAssigner``.
        ignore_iof_thr (float): Share of a proposal in an ignored box, up to
            1. With 0 or less, ignored boxes are background. Defaults to 0.5.
        **kwargs: Further arguments of ``MaxIoUAssigner``, except
            ``ignore_wrt_candidates``.
    """

    def __init__(self, *args: Any, ignore_iof_thr: float = 0.5, **kwargs: Any) -> None:
        super().__init__(*args, ignore_iof_thr=ignore_iof_thr, **kwargs)

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs: Any,
    ) -> AssignResult:
        """Assign proposals to true boxes.

        Args:
            pred_instances (InstanceData): ``priors`` of shape (N, 4), in
                pixels.
            gt_instances (InstanceData): ``bboxes`` of shape (K, 4) and
                ``labels`` of shape (K, ).
            gt_instances_ignore (InstanceData, optional): ``bboxes`` of shape
                (M, 4). Defaults to None.
            **kwargs: Unused, as in mmdet.

        Returns:
            AssignResult: ``gt_inds`` of shape (N, ): -1 is ignored, 0 is
            background, i + 1 is true box i.
        """
        result = super().assign(pred_instances, gt_instances)
        priors = pred_instances.priors
        if (
            self.ignore_iof_thr > 0
            and gt_instances_ignore is not None
            and len(gt_instances_ignore)
            and len(priors)
        ):
            shares = self.iou_calculator(
                priors, gt_instances_ignore.bboxes, mode='iof'
            ).amax(dim=1)
            background = result.gt_inds == 0
            result.gt_inds[background & (shares > self.ignore_iof_thr)] = -1
        return result
