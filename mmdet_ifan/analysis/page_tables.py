"""Generated tables of a Markdown page."""

from collections.abc import Mapping
from pathlib import Path


def with_table(text: str, name: str, table: str) -> str:
    """Put a table into a page.

    Args:
        text (str): The page.
        name (str): Name of the table, which stands between ``<!-- NAME -->``
            and ``<!-- /NAME -->``.
        table (str): The table, as Markdown.

    Returns:
        str: The page with this table between the markers.

    Raises:
        ValueError: If the page lacks one of the two lines, repeats one or has
            them in the wrong order.
    """
    start, end = f'<!-- {name} -->\n', f'<!-- /{name} -->\n'
    before, *rest = text.split(start)
    parts = rest[0].split(end) if len(rest) == 1 else []
    if len(parts) != 2 or end in before:
        raise ValueError(
            f'The page of the table {name} needs the line {start.strip()} '
            f'before and the line {end.strip()} after it, once each.'
        )
    # GitHub needs a blank line between a comment and a table.
    return f'{before}{start}\n{table}\n{end}{parts[1]}'


def put_tables(tables: Mapping[str, str], page: Path) -> None:
    """Replace tables of a page.

    Args:
        tables (Mapping[str, str]): Tables by name, as Markdown.
        page (Path): The page.

    Raises:
        ValueError: If the page has no place for one of them.
    """
    text = page.read_text(encoding='utf-8')
    for name, table in tables.items():
        text = with_table(text, name, table)
    page.write_text(text, encoding='utf-8')
