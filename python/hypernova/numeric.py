"""Numbers that callers give, and the types of arrays of numbers.

Not here: ranges and messages; each caller has its own.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    # Imported under TYPE_CHECKING only: serving loads this module, and no NumPy for it.
    Floats: TypeAlias = NDArray[np.floating[Any]]
    Ints: TypeAlias = NDArray[np.integer[Any]]


def is_number(value: object) -> bool:
    """Return whether a value is a real number of Python or NumPy; a bool is none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def to_float(value: object) -> float:
    """Convert a real number to a float.

    Args:
        value: A real number of Python or NumPy; a bool is none.

    Raises:
        TypeError: The value is no real number.
        OverflowError: It is an integer too large for a float.

    Example:
        >>> to_float(3)
        3.0
    """
    if not is_number(value):
        raise TypeError(f"{value!r} is no real number")
    return float(value)  # type: ignore[arg-type]
