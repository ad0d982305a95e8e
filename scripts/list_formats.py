"""Print the tables of docs/formats.md: the formats, or the names of fields, as Markdown.

python -m scripts.list_formats
python -m scripts.list_formats --fields
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from loopllm_cli.sources.columns import ALIASES
from loopllm_cli.sources.formats import all_formats


def formats_table() -> str:
    """Return a row per format, in the order in which they are tried."""
    rows = ((f"`{f.name}`", f.title, f.reason) for f in all_formats())
    return _table(("name", "what it is", "recognised by"), rows)


def fields_table() -> str:
    """Return a row per field, with the keys that may hold it, the first one first."""
    rows = ((f"`{name}`", ", ".join(f"`{key}`" for key in keys)) for name, keys in ALIASES.items())
    return _table(("field", "keys"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines
    )


def main() -> None:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fields", action="store_true", help="the names of fields instead")
    print(fields_table() if parser.parse_args().fields else formats_table(), end="")


if __name__ == "__main__":
    main()
