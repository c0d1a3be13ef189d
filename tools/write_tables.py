"""Write the pages' tables again, from the files that they come from."""
import json
import sys
from functools import partial
from pathlib import Path

import yaml
from benchmark.tables import make_tables

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / 'docs'
sys.path.insert(0, str(ROOT))

from mmdet_ifan.runs.study_table import PAPER  # noqa: E402

from mmdet_ifan.analysis.comparison import to_markdown  # noqa: E402
from mmdet_ifan.analysis.page_tables import put_tables  # noqa: E402


def paper_table() -> str:
    """Lay out the configs of the metafile that the paper has figures for.

    Returns:
        str: Domains and detector of each pair of the paper, and its target
        AP50 under each method; empty where there is no such config.
    """
    index = yaml.safe_load((ROOT / 'configs/metafile.yml').read_text())
    methods = [collection['Name'] for collection in index['Collections']]
    figures: dict[str, dict[str, str]] = {}
    for model in index['Models']:
        if model['Name'] in PAPER:
            pair = model['Name'].split('_', 1)[1]
            figures.setdefault(pair, {})[model['In Collection']] = (
                f"{PAPER[model['Name']]:.1f}")
    rows = [['configs', *methods]]
    rows += [[f'`*_{pair}.py`', *(found.get(m, '') for m in methods)]
             for pair, found in figures.items()]
    return to_markdown(rows)


def bench_table(name: str) -> str:
    """Lay out a part of what ``make bench`` measured."""
    figures = json.loads((DOCS / 'data/bench.json').read_text())
    return make_tables(figures)[name]


#: Where each table stands: between ``<!-- NAME -->`` and ``<!-- /NAME -->``.
TABLES = {
    'paper': (ROOT / 'README.md', paper_table),
    **{
        name: (DOCS / 'performance.md', partial(bench_table, name))
        for name in ('steps', 'parts', 'rest', 'growth')
    },
}


if __name__ == '__main__':
    for name, (page, make) in TABLES.items():
        put_tables({name: make()}, page)
