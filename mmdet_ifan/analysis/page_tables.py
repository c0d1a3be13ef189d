"""Tables of a Markdown page that are written from figures."""
import re
from collections.abc import Mapping
from pathlib import Path


def with_table(text: str, name: str, table: str) -> str:
    """Put a table into a page.

    Args:
        text (str): The page.
        name (str): The table's name: it stands between ``<!-- NAME -->`` and
            ``<!-- /NAME -->``.
        table (str): The table, as Markdown.

    Returns:
        str: The page with this table between the markers.

    Raises:
        ValueError: If the page does not have the two markers once each.
    """
    start, end = f'<!-- {name} -->\n', f'<!-- /{name} -->\n'
    if [text.count(start), text.count(end)] != [1, 1]:
        raise ValueError(
            f'The page of the table {name} needs the line {start.strip()} '
            f'before and the line {end.strip()} after it, once each.')
    pattern = re.compile(f'(?<={re.escape(start)}).*(?={re.escape(end)})',
                         re.DOTALL)
    # GitHub wants a blank line between a comment and a table.
    return pattern.sub(lambda _: f'\n{table}\n', text)


def put_tables(tables: Mapping[str, str], page: Path) -> None:
    """Replace tables of a page.

    Args:
        tables (Mapping[str, str]): Markdown by name.
        page (Path): The file.

    Raises:
        ValueError: If the page has no place for one of them.
    """
    text = page.read_text(encoding='utf-8')
    for name, table in tables.items():
        text = with_table(text, name, table)
    page.write_text(text, encoding='utf-8')
