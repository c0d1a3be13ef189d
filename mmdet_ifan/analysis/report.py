"""A self-contained HTML page of a run: table, pictures, facts, config."""

import base64
import hashlib
import importlib
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment
from mmengine.config import Config

from ..version import __version__

#: Packages that results depend on, besides this one.
LIBRARIES = ('torch', 'mmengine', 'mmcv', 'mmdet', 'numpy')

PAGE = Environment(autoescape=True, trim_blocks=True).from_string("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --ink: #1c2024; --paper: #fff;
        --rule: #d5d9dd; --shade: #f3f5f7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --paper: #16191c; --rule: #3a4046;
          --shade: #20252a; }
}
body { margin: 0 auto; padding: 1rem; max-width: 70rem; color: var(--ink);
       background: var(--paper); line-height: 1.5;
       font-family: system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--rule);
         text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0;
                                 background: var(--paper); }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
pre { overflow-x: auto; padding: .8rem; background: var(--shade); }
dl { display: grid; grid-template-columns: fit-content(45%) 1fr;
     gap: .2rem 1rem; }
dt, dd { margin: 0; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<div class="wide"><table>
{% for row in rows %}
{% set tag = 'th' if loop.first else 'td' %}
<tr>{% for cell in row %}<{{ tag }}>{{ cell }}</{{ tag }}>{% endfor %}</tr>
{% endfor %}
</table></div>
{% for caption, png in pictures.items() %}
<h2>{{ caption }}</h2>
<figure>
<img alt="{{ caption }}" src="data:image/png;base64,{{ png }}">
</figure>
{% endfor %}
<h2>How it was made</h2>
<dl>
{% for name, value in facts.items() %}
<dt>{{ name }}</dt><dd>{{ value }}</dd>
{% endfor %}
</dl>
<details><summary>Config</summary><pre>{{ config }}</pre></details>
</body>
</html>
""")


def write_report(
    path: Path,
    title: str,
    rows: Sequence[Sequence[str]],
    pictures: Mapping[str, Path],
    facts: Mapping[str, str],
    config: str,
) -> None:
    """Write a page that needs no other file.

    Args:
        path (Path): File to write.
        title (str): Title of the page.
        rows (Sequence[Sequence[str]]): Table, whose first row is the heading.
        pictures (Mapping[str, Path]): PNGs by their captions.
        facts (Mapping[str, str]): Output of :func:`facts_of`.
        config (str): Text of the config.
    """
    page = PAGE.render(
        title=title,
        rows=rows,
        pictures={
            caption: base64.b64encode(picture.read_bytes()).decode()
            for caption, picture in pictures.items()
        },
        facts=facts,
        config=config,
    )
    path.write_text(page, encoding='utf-8')


def facts_of(cfg: Config, seed: int) -> dict[str, str]:
    """List what the results of a run depend on.

    Args:
        cfg (Config): Config of the run.
        seed (int): Its seed.

    Returns:
        dict[str, str]: Config, seed, versions, and the first digits of the
        SHA-256 of each file that lists the pair's images.
    """
    train, test = cfg.train_dataloader.dataset, cfg.test_dataloader.dataset
    files = {
        Path(part.get('data_root', ''), part[key]): None
        for part, key in (
            (train.source, 'ann_file'),
            (train.target, 'images'),
            (test.source, 'ann_file'),
            (test.target, 'ann_file'),
        )
    }
    facts = {
        'config': Path(cfg.filename).name,
        'seed': str(seed),
        'mmdet_ifan': __version__,
        'Python': platform.python_version(),
    }
    for name in LIBRARIES:
        # OneDL's packages differ in name, but not in their modules.
        facts[name] = importlib.import_module(name).__version__
    for file in files:
        if file.is_file():
            digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
            facts[str(file)] = f'SHA-256 {digest}…'
    return facts
