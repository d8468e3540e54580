"""The type checker of the tests: beartype with two settings (pyproject.toml hands it to jaxtyping's hook)."""

from collections.abc import Callable

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception

# An int is accepted as a float, as in PEP 484 and as pyright has it: `PPO(learning_rate=1)`.
# Who asks for what a damaged file holds expects a TypeError, as Python raises it too.
TYPES = BeartypeConf(is_pep484_tower=True, claw_is_pep526=False, violation_type=TypeError)
_beartype = beartype(conf=TYPES)


def checked(function: Callable) -> Callable:
    """Returns the function, checking its arguments and its result.

    jaxtyping hands over one method at a time, and beartype cannot tell of which class: methods that speak of `Self`
    stay unchecked.
    """
    try:
        return _beartype(function)
    except BeartypeDecorHintPep673Exception:
        return function
