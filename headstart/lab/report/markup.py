"""Writes SVG elements as nested calls. Everything that is not `Markup` is escaped, such as names of tasks."""

import re
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup, escape


def element(tag: str, *content: Any, **attributes: Any) -> Markup:
    """Returns `<tag …>content</tag>`. Items of lists are joined, and None is left out.

    In names of attributes, `_` becomes `-` and a trailing `_` is dropped. Attributes that are None are left out.
    Floats have at most two decimals.
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items() if value is not None)
    return Markup(f"<{tag}{written}>{_text(content)}</{tag}>")


def task_text(task: str) -> Markup:
    """Returns a task string as HTML with line breaks allowed after its separators."""
    pieces = (escape(piece) + Markup("<wbr>") for piece in re.split(r"(?<=[@,:|])", task))
    return element("span", pieces, class_="task")


def _text(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, Iterable) and not isinstance(content, str):
        return "".join(map(_text, content))
    return escape(content)


def _attribute(name: str, value: Any) -> str:
    if isinstance(value, float):
        value = f"{value:.2f}".rstrip("0").rstrip(".")
    return f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"'
