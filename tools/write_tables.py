"""Write the tables of README and docs again, from their sources."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import yaml
from _launch import run
from benchmark.tables import make_tables

from mmdet_ifan.analysis.comparison import to_markdown
from mmdet_ifan.analysis.page_tables import put_tables
from mmdet_ifan.analysis.selection import from_plain
from mmdet_ifan.analysis.selection_study import study_pool
from mmdet_ifan.analysis.selection_study import study_table as selection_study_table
from mmdet_ifan.runs.study_table import paper_ap50

ROOT = Path(__file__).resolve().parents[1]
DOCS, CONFIGS = ROOT / 'docs', ROOT / 'configs'
#: Methods of the paper's Table 1 that have configs, and their names there.
METHODS = {
    'source-only': 'Source-Only',
    'adda': 'ADDA',
    'dt-ft': 'DT+FT',
    'da-faster': 'DA-Faster',
    'mtor': 'MTOR',
    'few-shot': 'Few-shot',
    'select-align': 'SelectAlign',
    'strong-weak': 'Strong-Weak',
    'ifan': 'iFAN',
    'oracle': 'Oracle',
}
#: What they are called where they are rows.
NAMES = {
    **METHODS,
    'source-only': 'source-only',
    'oracle': 'oracle',
    'source-only-strong': 'source-only',
    'teacher-hard': 'teacher, boxes',
    'teacher': 'teacher, soft',
    'aldi': 'teacher, soft, masked (ALDI++)',
    'at': 'Adaptive Teacher',
    'mic': 'MIC',
    'img-strong': 'img',
    'img-teacher': 'img + teacher',
    'ifan-strong': 'iFAN',
    'ifan-teacher': 'iFAN + teacher',
    'oracle-strong': 'oracle',
}
#: Scores whose measures the pages show.
SELECTION = (
    'pdr_free',
    'pdr',
    'das',
    'fis',
    'bos',
    'bos_max',
    'confidence',
    'entropy',
    'infomax',
    'atc',
    'consensus',
    'source_ap',
)
#: Columns of the study's table, and what they are called on a page.
STUDY = {
    'source mAP50': 'clear',
    'target mAP50': 'dense fog',
    'gap recovered': 'gap recovered',
}


def paper_table() -> str:
    """Lay out the configs of the metafile that the paper has figures for.

    Returns:
        str: Domains and detector of each pair of the paper, and its target
        AP50 under each method; empty where there is no such config.
    """
    paper = paper_ap50()
    pairs = dict.fromkeys(
        name.split('_', 1)[1]
        for name in sorted(paper, key=lambda name: ('vgg16' not in name, name))
        if name.startswith('ifan_')
    )
    return to_markdown(
        [
            ['configs', *METHODS.values()],
            *(
                [
                    f'`*_{pair}.py`',
                    *(
                        f'{paper[f"{method}_{pair}"]:.1f}'
                        if f'{method}_{pair}' in paper
                        else ''
                        for method in METHODS
                    ),
                ]
                for pair in pairs
            ),
        ]
    )


def config_table(folder: str) -> str:
    """List the configs of a folder, with the paper's target AP50."""
    index = yaml.safe_load((CONFIGS / folder / 'metafile.yml').read_text())
    paper = paper_ap50()
    return to_markdown(
        [['config', 'trained on', "paper's AP50"]]
        + [
            [
                f'[`{model["Name"]}.py`]({model["Name"]}.py)',
                model['Metadata']['Training Data'],
                f'{paper[model["Name"]]:.1f}' if model['Name'] in paper else '',
            ]
            for model in index['Models']
        ]
    )


def bench_table(name: str) -> str:
    """Lay out a part of what ``make bench`` measured."""
    figures = json.loads((DOCS / 'data/bench.json').read_text())
    return make_tables(figures)[name]


def study_table(
    study: str, columns: Mapping[str, str], names: Sequence[str] = ()
) -> str:
    """Lay out columns of a study on Mini City.

    Args:
        study (str): Its folder in ``docs/data``.
        columns (Mapping[str, str]): Headings by those of the study's own table.
        names (Sequence[str]): Names of the configs, without the pair. Defaults to
            all.

    Returns:
        str: Mean and standard deviation over the seeds.
    """
    rows = json.loads((DOCS / 'data' / study / 'table.json').read_text())
    by_name = {row['AP50 (%)'].split('_')[0]: row for row in rows}
    return to_markdown(
        [
            ['mAP50 (%)', *columns.values()],
            *(
                [NAMES.get(name, name), *(by_name[name][column] for column in columns)]
                for name in names or by_name
            ),
        ]
    )


def selection_table(group: str) -> str:
    """Lay out how well label-free scores follow AP.

    Args:
        group (str): Pools of ``docs/data/selection.json``.

    Returns:
        str: A row for each score, the value of each pool and the mean.
    """
    groups = json.loads((DOCS / 'data/selection.json').read_text())
    pools = [study_pool(from_plain(pool)) for pool in groups[group].values()]
    scores = (*SELECTION, 'choice', 'last', 'random')
    rows = selection_study_table(
        [{score: pool[score] for score in scores} for pool in pools],
        ('spearman', 'pairs', 'regret'),
    )
    return to_markdown(rows)


#: Where each table stands: between ``<!-- NAME -->`` and ``<!-- /NAME -->``.
TABLES = {
    'paper': (ROOT / 'README.md', paper_table),
    'study': (
        ROOT / 'README.md',
        partial(
            study_table,
            'study_mini-city',
            STUDY,
            ('source-only', 'strong-weak', 'da-faster', 'ifan', 'oracle'),
        ),
    ),
    'study-all': (
        DOCS / 'lab/mini_city.md',
        partial(study_table, 'study_mini-city', {'seeds': 'seeds', **STUDY}),
    ),
    'study-teachers': (
        DOCS / 'lab/teachers.md',
        partial(study_table, 'study_teacher', {'seeds': 'seeds', **STUDY}),
    ),
    **{
        f'selection-{group}': (
            DOCS / 'lab/selection.md',
            partial(selection_table, group),
        )
        for group in (
            'methods',
            'teachers',
            'thermal',
            'checkpoints',
            'runs',
            'new-runs',
            'spoiled',
        )
    },
    **{
        f'configs-{path.parent.name}': (path, partial(config_table, path.parent.name))
        for path in sorted(CONFIGS.glob('*/README.md'))
    },
    **{
        name: (DOCS / 'lab/performance.md', partial(bench_table, name))
        for name in ('steps', 'parts', 'rest', 'growth')
    },
}


def main() -> None:
    """Write every table."""
    for name, (page, make) in TABLES.items():
        put_tables({name: make()}, page)


if __name__ == '__main__':
    run(main)
