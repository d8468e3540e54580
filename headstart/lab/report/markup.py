"""Writes HTML and SVG as nested calls. Everything that is not `Markup` is escaped, such as names of tasks."""

import html
from collections.abc import Iterable
from typing import Any

VOID_ELEMENTS = frozenset({"meta", "link", "input", "br", "wbr", "img", "source"})  # elements without an end tag


class Markup(str):
    """HTML text, which is not escaped again."""


def text(content: Any) -> Markup:
    """Returns the content as HTML. Text is escaped, items of lists are joined, and None becomes empty."""
    if content is None:
        return Markup()
    if isinstance(content, Markup):
        return content
    if isinstance(content, Iterable) and not isinstance(content, str):
        return Markup("".join(text(part) for part in content))
    return Markup(html.escape(str(content)))


def element(tag: str, *content: Any, **attributes: Any) -> Markup:
    """Returns `<tag …>content</tag>`.

    In names of attributes, `_` becomes `-` and a trailing `_` is dropped. Attributes that are None are left out.
    Floats have at most two decimals.
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    inside = text(content)
    return Markup(f"<{tag}{written}>" if tag in VOID_ELEMENTS else f"<{tag}{written}>{inside}</{tag}>")


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if isinstance(value, float):
        value = f"{value:.2f}".rstrip("0").rstrip(".")
    return f' {name}="{html.escape(str(value))}"'
