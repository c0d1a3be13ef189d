"""The page of a run: complete, offline, and legible in a browser."""

import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmdet_ifan.analysis.comparison import classes_table, summary_table
from mmdet_ifan.analysis.report import Section, facts_of, write_report

ROOT = Path(__file__).resolve().parents[2]
BROWSER = shutil.which('chromium') or shutil.which('google-chrome')
VOID = {'meta', 'img'}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with a table, a picture, and text that must be escaped."""
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((300, 900, 3), (0, 0, 255), np.uint8))
    path = tmp_path / 'report.html'
    write_report(
        path,
        'a < b & c',
        ['one', 'two & a half'],
        [
            Section('Table', tables=[[['AP50 (%)', *'abc'], ['iFAN', *['50.0'] * 3]]]),
            Section('Picture', 'Red.', (), tmp_path / 'a.png', 'A red area', look=''),
        ],
        {'seed': '0'},
        'x = "<script>"',
    )
    return path


class Outline(HTMLParser):
    """Check that elements close in order, and collect tags and links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        """Record an element that opens."""
        self.seen.append(tag)
        self.links += [v for k, v in attrs if k in ('src', 'href')]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check an element that closes."""
        assert self.open.pop() == tag


def test_page_is_whole_and_needs_nothing(page):
    text = page.read_text()
    outline = Outline()
    outline.feed(text)
    assert not outline.open
    assert outline.seen.count('th') == 5 and outline.seen.count('td') == 3
    assert '<li>two &amp; a half</li>' in text and 'alt="A red area"' in text
    assert 'script' not in outline.seen
    assert all(link.startswith('data:image/png') for link in outline.links)
    assert len(outline.links) == 1
    assert '<h1>a &lt; b &amp; c</h1>' in text
    assert 'x = &#34;&lt;script&gt;&#34;' in text
    assert not re.search(r'https?://|url\(', text)


def test_facts_name_what_made_the_figures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(ROOT / 'configs/ifan/ifan_mini-city.py')
    boxes = Path('data/mini_city/annotations/instances_val.json')
    assert str(boxes) not in facts_of(cfg, 3)
    boxes.parent.mkdir(parents=True)
    boxes.write_text('{}')
    facts = facts_of(cfg, 3)
    assert facts['config'] == 'ifan_mini-city.py' and facts['seed'] == '3'
    assert {'torch', 'mmdet', 'mmcv', 'mmengine'} <= set(facts)
    before = facts[str(boxes)]
    boxes.write_text('{ }')
    assert facts_of(cfg, 3)[str(boxes)] != before


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason='needs chromium')
@pytest.mark.parametrize('dark', [False, True])
def test_in_a_browser_on_a_phone(page, tmp_path, dark):
    shot = tmp_path / 'shot.png'
    subprocess.run(
        [
            BROWSER,
            '--headless',
            '--no-sandbox',
            '--disable-gpu',
            '--hide-scrollbars',
            '--window-size=400,800',
            *(
                ['--force-dark-mode', '--blink-settings=preferredColorScheme=0']
                if dark
                else []
            ),
            f'--screenshot={shot}',
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    picture = cv2.imread(str(shot)).astype(int)
    corner = picture[2, 2].mean()
    assert corner < 60 if dark else corner > 240
    # The picture is shrunk to the width, red from one margin to the other.
    red = (picture[..., 2] > 200) & (picture[..., :2].max(axis=2) < 60)
    columns = np.flatnonzero(red.any(axis=0))
    assert 10 <= columns[0] <= 25 and 375 <= columns[-1] <= 390


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason='needs chromium')
@pytest.mark.parametrize('width', [360, 380, 1200])
def test_page_is_as_wide_as_the_window(page, tmp_path, width):
    metrics = {'target/mAP50': 48.6, 'source/mAP50': 82.0}
    runs = dict.fromkeys(('source-only', 'iFAN', 'oracle'), metrics)
    path = tmp_path / 'wide.html'
    write_report(
        path,
        'A title',
        [],
        [
            Section(
                'Tables',
                tables=[
                    summary_table(runs, 'clear', 'dense fog'),
                    classes_table(runs, ['motorcycle']),
                ],
                picture=tmp_path / 'a.png',
                look='wide',
            )
        ],
        {'data/mini_city/annotations/instances_val_foggy_beta_0.05.json': 'x' * 80},
        'x' * 200,
    )
    # A frame, as a window has a least width.
    frame = tmp_path / 'frame.html'
    frame.write_text(
        f'<title></title><iframe width="{width}" srcdoc="{escape(path.read_text())}" '
        'onload="document.title = contentDocument.body.scrollWidth"></iframe>'
    )
    dom = subprocess.run(
        [
            BROWSER,
            '--headless',
            '--no-sandbox',
            '--disable-gpu',
            '--virtual-time-budget=5000',
            '--dump-dom',
            frame.as_uri(),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    found = re.search('<title>(.*)</title>', dom)
    assert found is not None and 300 < int(found[1]) <= width
