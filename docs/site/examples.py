"""Show the section *Example* of a docstring as code.

The Google style allows *Example* and *Examples*, of which griffe reads only the second as code.

Not here: whether the examples run; the tests do that.
"""

from __future__ import annotations

import re

import griffe


class Examples(griffe.Extension):
    """Give the section the name that griffe knows."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Rename the section in the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(
                r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE
            )
