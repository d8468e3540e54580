"""The keys of JSON files that docs/report.md describes, for tests that compare them with files."""

import pathlib
import re

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "report.md"


def documented(head: str) -> set[str]:
    """Returns the keys in the first column of the table with that head, such as `key of a row`."""
    page = PAGE.read_text(encoding="utf-8")
    table = page[page.index(f"| {head} |") :].partition("\n\n")[0].splitlines()[2:]
    return {key for row in table for key in re.findall(r"`(\w+)`", row.split(" | ")[0])}
