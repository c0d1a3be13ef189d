"""Small data sets in the common formats, written by hand."""

import json
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

TOOLS = Path(__file__).parents[2] / 'tools/prepare'
Objects = Sequence[tuple[str, Sequence[float]]]


@pytest.fixture(scope='session')
def write_image() -> Callable[..., Path]:
    """Writer of a picture of noise."""

    def write(path: Path, height: int = 20, width: int = 30) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        return path

    return write


@pytest.fixture(scope='session')
def write_voc(write_image) -> Callable[..., Path]:
    """Writer of a VOC image and its XML file; gives the latter's path."""

    def write(
        base: Path,
        name: str,
        objects: Objects = (('cat', (3, 4, 12, 14)),),
        size: tuple[int, int] = (20, 30),
        said: tuple[int, int] | None = None,
        extra: str = '',
    ) -> Path:
        write_image(base / f'JPEGImages/{name}.jpg', *size)
        height, width = said or size
        entries = ''.join(
            f'<object><name>{label}</name>{extra}<bndbox><xmin>{x1}</xmin>'
            f'<ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>'
            '</object>'
            for label, (x1, y1, x2, y2) in objects
        )
        path = base / f'Annotations/{name}.xml'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'<annotation><filename>old.jpg</filename><size><width>{width}'
            f'</width><height>{height}</height><depth>3</depth></size>'
            f'{entries}</annotation>',
            encoding='utf-8',
        )
        return path

    return write


@pytest.fixture
def voc(tmp_path, write_voc) -> Path:
    """Three VOC images; the first has a dog and a cat, the third nothing."""
    root = tmp_path / 'voc'
    write_voc(root, 'a', [('dog', (1, 1, 10, 20)), ('cat', (3, 4, 12, 14))])
    write_voc(root, 'b')
    write_voc(root, 'c', [])
    return root


@pytest.fixture
def run_tool(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Runner of a command; gives its exit code and output."""

    def run(name: str, *arguments: Any) -> tuple[int, str, str]:
        monkeypatch.syspath_prepend(str(TOOLS))
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments), '--workers', '1'])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOLS / name), run_name='__main__')
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


@pytest.fixture(scope='session')
def read() -> Callable[..., dict]:
    """Reader of a COCO file: boxes of each image by its name."""

    def read(root: Path, split: str = 'train') -> dict:
        path = root / f'annotations/instances_{split}.json'
        content = json.loads(path.read_text())
        names = {each['id']: each['name'] for each in content['categories']}
        found = {each['file_name']: [] for each in content['images']}
        files = {each['id']: each['file_name'] for each in content['images']}
        for each in content['annotations']:
            found[files[each['image_id']]].append(
                (names[each['category_id']], each['bbox'], each['iscrowd'])
            )
        return found

    return read
