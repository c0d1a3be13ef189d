"""The detector as an ONNX graph, for images of one size."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from mmcv.ops.nms import NMSop
from mmcv.ops.roi_align import RoIAlignFunction
from mmdet.models.task_modules.coders import delta_xywh_bbox_coder
from torch import Tensor, nn

#: The first version with NonMaxSuppression and RoiAlign as used here.
OPSET = 16


def check_onnx(model: nn.Module, size: tuple[int, int]) -> None:
    """Refuse what :func:`to_onnx` cannot write.

    Args:
        model (nn.Module): The ``FasterRCNN``.
        size (tuple[int, int]): Height and width of the image in pixels.

    Raises:
        ValueError: If the package ``onnx`` is missing, or the detector cannot
            take images of this size.
    """
    if find_spec('onnx') is None:
        raise ValueError(
            'ONNX needs the package onnx, which is not '
            'installed: run "pip install onnx onnxruntime".'
        )
    preprocessor: Any = model.data_preprocessor
    divisor = preprocessor.pad_size_divisor
    if any(side < 1 or side % divisor for side in size):
        raise ValueError(
            f'The detector takes sides that are multiples of '
            f'{divisor} px, but the size is {size}.'
        )


def to_onnx(model: nn.Module, path: Path, size: tuple[int, int]) -> None:
    """Write a Faster R-CNN as one ONNX graph.

    Its input ``image`` of shape (1, 3, H, W) holds B, G, R from 0 to 255, as
    OpenCV reads them, already resized for the detector. Its outputs are
    ``boxes`` (N, 4), x1, y1, x2, y2 in pixels of that image, ``scores``
    (N, ) in [0, 1] and ``labels`` (N, ), indices of the classes.

    Args:
        model (nn.Module): The ``FasterRCNN`` that :func:`export` returns.
        path (Path): File to write.
        size (tuple[int, int]): H and W in pixels.

    Raises:
        ValueError: See :func:`check_onnx`.
    """
    check_onnx(model, size)
    with torch.no_grad(), _operators_of_onnx():
        torch.onnx.export(
            OneImage(model, size).eval(),
            (torch.zeros(1, 3, *size),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=['image'],
            output_names=['boxes', 'scores', 'labels'],
            dynamic_axes={name: {0: 'n'} for name in ('boxes', 'scores', 'labels')},
        )


class OneImage(nn.Module):
    """The computation of the graph, from pixels to boxes.

    Args:
        model (nn.Module): The ``FasterRCNN``.
        size (tuple[int, int]): Height and width of the image in pixels.
    """

    def __init__(self, model: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.model = model
        self.meta = dict(
            img_shape=size,
            ori_shape=size,
            pad_shape=size,
            batch_input_shape=size,
            scale_factor=(1.0, 1.0),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Detect in one image; see :func:`to_onnx` for shapes."""
        model: Any = self.model
        preprocess = model.data_preprocessor
        if preprocess._channel_conversion:
            image = image.flip(1)
        feats = model.extract_feat((image - preprocess.mean) / preprocess.std)
        (proposals,) = model.rpn_head.predict_by_feat(
            *model.rpn_head(feats), batch_img_metas=[self.meta], rescale=False
        )
        boxes = proposals.bboxes
        rois = torch.cat([boxes.new_zeros(boxes.shape[0], 1), boxes], 1)
        outputs = model.roi_head._bbox_forward(feats, rois)
        found = model.roi_head.bbox_head._predict_by_feat_single(
            roi=rois,
            cls_score=outputs['cls_score'],
            bbox_pred=outputs['bbox_pred'],
            img_meta=self.meta,
            rescale=False,
            rcnn_test_cfg=model.test_cfg.rcnn,
        )
        # mmdet omits the threshold in what it gives to an exporter.
        kept = found.scores > model.test_cfg.rcnn.score_thr
        return found.bboxes[kept], found.scores[kept], found.labels[kept]


@contextmanager
def _operators_of_onnx() -> Iterator[None]:
    """Write mmcv's operators as ONNX's own while a graph is traced.

    mmcv writes custom operators that only its runtime plugin knows, and
    mmdet's box decoding for exporters imports a module that mmcv 2 lacks.
    """
    # NMSop has no such attribute, which is created and removed again.
    with (
        patch.object(RoIAlignFunction, 'symbolic', staticmethod(_roi_align)),
        patch.object(NMSop, 'symbolic', staticmethod(_nms), create=True),
        patch.object(
            delta_xywh_bbox_coder, 'onnx_delta2bbox', delta_xywh_bbox_coder.delta2bbox
        ),
    ):
        yield


def _roi_align(
    g: Any,
    feats: Any,
    rois: Any,
    output_size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: str,
    aligned: bool,
) -> Any:
    """Write RoIAlign as ONNX's operator; the arguments are mmcv's."""
    index = g.op(
        'Cast',
        g.op('Gather', rois, _constant(g, 0), axis_i=1),
        to_i=torch.onnx.TensorProtoDataType.INT64,
    )
    boxes = g.op('Gather', rois, _constant(g, [1, 2, 3, 4]), axis_i=1)
    return g.op(
        'RoiAlign',
        feats,
        boxes,
        index,
        output_height_i=output_size[0],
        output_width_i=output_size[1],
        spatial_scale_f=spatial_scale,
        sampling_ratio_i=sampling_ratio,
        mode_s=pool_mode,
        coordinate_transformation_mode_s='half_pixel'
        if aligned
        else 'output_half_pixel',
    )


def _nms(
    g: Any,
    boxes: Any,
    scores: Any,
    iou_threshold: float,
    offset: int,
    score_threshold: float,
    max_num: int,
) -> Any:
    """Write NMS as ONNX's operator; the arguments are mmcv's."""
    limit = max_num if max_num > 0 else torch.iinfo(torch.int32).max
    kept = g.op(
        'NonMaxSuppression',
        g.op('Unsqueeze', boxes, _constant(g, [0])),
        g.op('Unsqueeze', scores, _constant(g, [0, 1])),
        _constant(g, [limit]),
        _constant(g, [float(iou_threshold)]),
    )
    return g.op('Gather', kept, _constant(g, 2), axis_i=1)


def _constant(g: Any, value: Any) -> Any:
    """Add a number or a list of numbers to the graph."""
    return g.op('Constant', value_t=torch.tensor(value))
