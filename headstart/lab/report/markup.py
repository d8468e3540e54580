"""HTML and SVG as nested calls. What is not `Markup` is escaped, so no name of a task or a method can break a page."""

import html
from collections.abc import Iterable
from typing import Any

EMPTY = frozenset({"meta", "link", "input", "br", "wbr", "img", "source"})  # elements that have no end


class Markup(str):
    """Text that is HTML already, and is not escaped again."""


def text(content: Any) -> Markup:
    """Returns the content as HTML: escaped, unless it is Markup; of a list each in turn; nothing of None."""
    if content is None:
        return Markup()
    if isinstance(content, Markup):
        return content
    if isinstance(content, Iterable) and not isinstance(content, str):
        return Markup("".join(text(part) for part in content))
    return Markup(html.escape(str(content)))


def element(tag: str, *content: Any, **attributes: Any) -> Markup:
    """Returns `<tag …>content</tag>`. In an attribute's name `_` becomes `-`, but a last one goes; None leaves it out.

    Numbers are written with at most two decimals, which is finer than any screen.
    """
    told = "".join(_attribute(name, value) for name, value in attributes.items())
    inside = text(content)
    return Markup(f"<{tag}{told}>" if tag in EMPTY else f"<{tag}{told}>{inside}</{tag}>")


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if isinstance(value, float):
        value = f"{value:.2f}".rstrip("0").rstrip(".")
    return f' {name}="{html.escape(str(value))}"'
