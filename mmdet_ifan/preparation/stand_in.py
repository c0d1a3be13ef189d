"""Compare a rendered stand-in with the counts in its manifest."""

from pathlib import Path
from typing import Any

from ..utils.errors import DataError
from ..utils.json_files import read_json
from .records import Summary

MANIFEST = 'mini_city.json'
UNFINISHED = 'mini_city.unfinished.json'
RENDER = 'remove the folder and render it again'


def stand_in_counts(root: Path) -> dict[str, Any] | None:
    """Read the counts that a rendered data set should have.

    Args:
        root (Path): Data root.

    Returns:
        dict[str, Any] | None: By split 'images', 'empty' and 'objects' by
        category. None if the data set is not rendered.

    Raises:
        DataError: If the rendering is not complete.
    """
    if (root / UNFINISHED).exists():
        raise DataError(
            f'The rendering in {root} is not complete: run '
            'tools/prepare/mini_city.py, or mini_sim.py, again '
            'to finish it.'
        )
    path = root / MANIFEST
    if not path.exists():
        return None
    try:
        return dict(read_json(path)['splits'])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f'{path} is not readable: {RENDER}.') from error


def check_stand_in(
    root: Path, expected: dict[str, Any], found: dict[str, Summary]
) -> None:
    """Compare a rendered data set with its manifest.

    Args:
        root (Path): Data root.
        expected (dict[str, Any]): Result of `stand_in_counts`.
        found (dict[str, Summary]): Content of each split, which may lack
            some categories.

    Raises:
        DataError: If there are too few or too many images or boxes.
    """
    if set(expected) != set(found):
        raise DataError(
            f'{root} has the splits {", ".join(found)}, but its {MANIFEST} '
            f'says {", ".join(expected)}: {RENDER}.'
        )
    for split, want in expected.items():
        got = found[split]
        pairs = [('images', got.images, want['images'])]
        if set(want['objects']) <= set(got.boxes):
            pairs.append(('images without objects', got.empty, want['empty']))
        pairs += [
            (f'boxes of {name}', count, want['objects'].get(name, 0))
            for name, count in got.boxes.items()
        ]
        for what, number, wanted in pairs:
            if number != wanted:
                raise DataError(
                    f'{root} has {number} {what} in {split}, but its '
                    f'{MANIFEST} says {wanted}: {RENDER}.'
                )
