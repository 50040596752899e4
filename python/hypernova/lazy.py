"""Load the modules of a package's names when a name is first used (PEP 562).

Not here: which names; each package lists its own. Routing a text uses few of them, and a process
that routes starts without the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def load_later(
    package: str, names: Sequence[str], modules: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and the ``__dir__`` of a package.

    Args:
        package: Its ``__name__``.
        names: Its ``__all__``.
        modules: The module of each name that is loaded late, as it stands behind the dot of a
            relative import. No name may be that of a module in the package: once imported, the
            module would stand for it.

    Example:
        >>> get, names = load_later("hypernova", ["read_prices"], {"read_prices": "prices"})
        >>> get("read_prices").__name__, names()
        ('read_prices', ['read_prices'])
    """

    def load(name: str) -> object:
        module = modules.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{module}", package), name)

    def list_names() -> list[str]:
        return sorted(names)

    return load, list_names
