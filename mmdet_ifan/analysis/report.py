"""A self-contained HTML page of runs: tables, pictures, facts, config."""

import base64
import importlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
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
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --ink: #1c2024; --paper: #fff;
        --rule: #d5d9dd; --shade: #f3f5f7; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; color: var(--ink);
       background: var(--paper); line-height: 1.5; overflow-wrap: break-word;
       font-family: system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
p { margin: .5rem 0; } li { margin: .4rem 0; } ul { padding-left: 1.2rem; }
.tables { display: flex; flex-wrap: wrap; gap: 1.5rem 3rem; margin: 1rem 0;
          align-items: flex-start; }
table { flex: 1 1 19rem; max-width: 32rem; border-collapse: collapse;
        font-variant-numeric: tabular-nums; }
th, td { padding: .3rem 0 .3rem .6rem; border-bottom: 1px solid var(--rule);
         text-align: right; vertical-align: bottom; }
th:first-child { text-align: left; padding: .3rem 0; }
tbody th { font-weight: normal; white-space: nowrap; }
figure { margin: 1rem 0; overflow-x: auto; }
img { display: block; max-width: 100%; height: auto; border-radius: 4px; }
/* On a phone, a picture of several columns scrolls within its frame. */
.wide img { min-width: 42rem; max-width: none; width: 100%; }
pre { overflow-x: auto; padding: .8rem; background: var(--shade); }
dl { display: grid; grid-template-columns: fit-content(45%) 1fr;
     gap: .2rem 1rem; }
dt, dd { margin: 0; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --paper: #16191c; --rule: #3a4046;
          --shade: #20252a; }
  /* Dark plots of the same hues; photographs stay as they are. */
  .plot img { filter: invert(.91) hue-rotate(180deg); }
}
</style>
</head>
<body>
<h1>{{ title }}</h1>
<ul>
{% for line in lines %}
<li>{{ line }}</li>
{% endfor %}
</ul>
{% for section in sections %}
<h2>{{ section.title }}</h2>
{% if section.text %}
<p>{{ section.text }}</p>
{% endif %}
{% if section.tables %}
<div class="tables">
{% for rows in section.tables %}
<table>
<thead>
<tr>{% for cell in rows[0] %}<th scope="col">{{ cell }}</th>{% endfor %}</tr>
</thead>
<tbody>
{% for row in rows[1:] %}
<tr><th scope="row">{{ row[0] }}</th>
{%- for cell in row[1:] %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
{% endfor %}
</div>
{% endif %}
{% if section.png %}
<figure class="{{ section.look }}">
<img alt="{{ section.alt }}" src="data:image/png;base64,{{ section.png }}">
</figure>
{% endif %}
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


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title (str): Its heading.
        text (str): What to know about its figures.
        tables (Sequence): Tables, whose first rows are the headings.
        picture (Path, optional): A PNG.
        alt (str): What the picture shows, for those who do not see it.
        look (str): ``wide``, if the picture has several columns, and
            ``plot``, if it may be inverted on a dark screen.
    """

    title: str
    text: str = ''
    tables: Sequence[Sequence[Sequence[str]]] = ()
    picture: Path | None = None
    alt: str = ''
    look: str = 'plot'

    @property
    def png(self) -> str:
        """str: The picture in base 64; empty if there is none."""
        if self.picture is None:
            return ''
        return base64.b64encode(self.picture.read_bytes()).decode()


def write_report(
    path: Path,
    title: str,
    lines: Sequence[str],
    sections: Sequence[Section],
    facts: Mapping[str, str],
    config: str,
) -> None:
    """Write a page that needs no other file.

    Args:
        path (Path): File to write.
        title (str): Title of the page.
        lines (Sequence[str]): What the page says in short.
        sections (Sequence[Section]): Its parts.
        facts (Mapping[str, str]): Output of :func:`facts_of`.
        config (str): Text of the config.
    """
    page = PAGE.render(
        title=title, lines=lines, sections=sections, facts=facts, config=config
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
    return {
        'config': Path(cfg.filename).name,
        'seed': str(seed),
        'mmdet_ifan': __version__,
        'Python': platform.python_version(),
        # OneDL's packages differ in name, but not in their modules.
        **{name: importlib.import_module(name).__version__ for name in LIBRARIES},
        **{
            str(file): f'SHA-256 {sha256(file.read_bytes()).hexdigest()[:16]}…'
            for file in files
            if file.is_file()
        },
    }
