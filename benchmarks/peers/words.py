"""What the peers' command lines share."""

import ast


def setting(text: str) -> tuple[str, object]:
    """Returns the name and the value of NAME=VALUE, where the value is a Python literal."""
    name, _, value = text.partition("=")
    return name, ast.literal_eval(value)
