"""Keeps numbers and intervals on one line when mkdocs builds the site."""

import re
from typing import Any

NO_BREAK = "\N{NO-BREAK SPACE}"
CODE = re.compile(r"(<pre.*?</pre>)", re.DOTALL)
TIED = re.compile(r"(?<=\d) (?=\d{3}(?!\d)|%)")  # 1 000 and 95 %
NUMBER = rf"[−-]?\d[\d.{NO_BREAK}]*"
INTERVAL = re.compile(rf"( ?)\[({NUMBER}), ({NUMBER})\]")


def on_page_content(html: str, **_: Any) -> str:
    """Returns a page whose numbers do not break between lines; mkdocs calls this for each page."""
    return "".join(part if part.startswith("<pre") else unbroken(part) for part in CODE.split(html))


def unbroken(text: str) -> str:
    """Returns the text with no-break spaces in `1 000` and in `2 [1, 3]`."""
    keep = lambda match: f"{match[1] and NO_BREAK}[{match[2]},{NO_BREAK}{match[3]}]"
    return INTERVAL.sub(keep, TIED.sub(NO_BREAK, text))
