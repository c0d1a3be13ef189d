"""The ONNX graph compared with its detector."""

import sys
from pathlib import Path

import onnxruntime
import pytest
import torch
from mmcv.ops.nms import NMSop
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config

from mmdet_ifan.deployment import export, to_onnx
from mmdet_ifan.deployment.onnx_graph import OneImage
from mmdet_ifan.utils.named_configs import config_path

ROOT = Path(__file__).resolve().parents[2]
SIZE = (64, 96)
SMALL = 'ifan_mini-city'


@pytest.fixture
def cfg(request: pytest.FixtureRequest) -> Config:
    cfg = Config.fromfile(config_path(f'{getattr(request, "param", SMALL)}.py'))
    cfg.merge_from_dict(
        {
            'model.backbone.init_cfg': None,
            'model.roi_head.bbox_head.init_cfg': None,
            'model.roi_head.bbox_head.fc_out_channels': 16,
            'model.rpn_head.feat_channels': 16,
            'model.test_cfg.rpn.max_per_img': 64,
        }
    )
    return cfg


@pytest.fixture
def checkpoint(cfg: Config, tmp_path: Path) -> str:
    """Checkpoint with spread scores, so NMS and threshold matter."""
    model = MODELS.build(cfg.model)
    model.init_weights()
    # The features of the small detector's trunk are larger by far.
    std = 0.05 if cfg.model.backbone.type == 'TimmTaps' else 0.3
    for layer in (
        model.rpn_head.rpn_cls,
        model.rpn_head.rpn_reg,
        model.roi_head.bbox_head.fc_cls,
        model.roi_head.bbox_head.fc_reg,
    ):
        torch.nn.init.normal_(layer.weight, std=std)
    path = tmp_path / 'iter_1.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta={})), path)
    return str(path)


@pytest.fixture
def stock(cfg: Config, checkpoint: str, tmp_path: Path) -> torch.nn.Module:
    """The plain Faster R-CNN of that checkpoint."""
    return export(cfg, checkpoint, tmp_path / 'out')


def test_without_the_package_a_sentence_says_so(stock, tmp_path, monkeypatch):
    monkeypatch.setattr('mmdet_ifan.deployment.onnx_graph.find_spec', lambda _: None)
    with pytest.raises(ValueError, match='pip install onnx onnxruntime'):
        to_onnx(stock, tmp_path / 'detector.onnx', SIZE)


@pytest.mark.slow
@pytest.mark.parametrize(
    'cfg',
    [
        SMALL,
        'ifan_vgg16_sim10k2city',
        'ifan_r50-fpn_city2foggy',
        'ifan_convnext-t-fpn_city2foggy',
        'ifan_swin-t-fpn_sim10k2city',
    ],
    indirect=True,
)
def test_finds_what_the_detector_finds(cfg, checkpoint, stock, tmp_path):
    path = tmp_path / 'detector.onnx'
    to_onnx(stock, path, SIZE)
    session = onnxruntime.InferenceSession(path)
    detector = MODELS.build(cfg.model).eval()
    detector.load_state_dict(torch.load(checkpoint)['state_dict'])
    numbers = []
    for seed in range(4):
        image = torch.randint(
            256, (1, 3, *SIZE), generator=torch.manual_seed(seed)
        ).float()
        boxes, scores, labels = session.run(None, {'image': image.numpy()})
        with torch.no_grad():
            (expected,) = detector.test_step(
                dict(inputs=[image[0]], data_samples=[_sample()])
            )
        expected = expected.pred_instances
        assert labels.tolist() == expected.labels.tolist()
        torch.testing.assert_close(
            torch.from_numpy(boxes), expected.bboxes, atol=1e-2, rtol=0
        )
        torch.testing.assert_close(
            torch.from_numpy(scores), expected.scores, atol=1e-4, rtol=0
        )
        numbers.append(len(labels))
    assert min(numbers) > 0


def _sample() -> DetDataSample:
    return DetDataSample(
        metainfo=dict(img_id=0, img_shape=SIZE, ori_shape=SIZE, scale_factor=(1.0, 1.0))
    )


def test_a_size_that_does_not_suit(stock, tmp_path, monkeypatch):
    monkeypatch.setattr('mmdet_ifan.deployment.onnx_graph.find_spec', lambda _: sys)
    with pytest.raises(ValueError, match='the size is'):
        to_onnx(stock, tmp_path / 'detector.onnx', (0, 96))
    assert not (tmp_path / 'detector.onnx').exists()


def test_nothing_is_exported_if_the_graph_cannot_be(
    cfg, checkpoint, tmp_path, monkeypatch
):
    monkeypatch.setattr('mmdet_ifan.deployment.onnx_graph.find_spec', lambda _: sys)
    with pytest.raises(ValueError, match='the size is'):
        export(cfg, checkpoint, tmp_path / 'out', (0, 96))
    assert not (tmp_path / 'out').exists()


def test_operators_are_put_back(stock, tmp_path, monkeypatch):
    """Even after an error: training needs mmcv's own."""
    monkeypatch.setattr('mmdet_ifan.deployment.onnx_graph.find_spec', lambda _: sys)
    before = dict(vars(NMSop))

    def fail(*args: object) -> None:
        assert dict(vars(NMSop)) != before
        raise RuntimeError('no graph')

    monkeypatch.setattr(OneImage, 'forward', fail)
    with pytest.raises(RuntimeError, match='no graph'):
        to_onnx(stock, tmp_path / 'detector.onnx', SIZE)
    assert dict(vars(NMSop)) == before
