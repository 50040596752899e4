"""Programs of the folder examples as modules.

Not here: running them as processes; see commands.py.
"""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING

from support.paths import EXAMPLES

if TYPE_CHECKING:
    from types import ModuleType


def load_example(place: str) -> ModuleType:
    """Import a file of the folder without running its main part."""
    path = EXAMPLES / place
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
