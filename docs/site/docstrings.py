"""Adapt the sources, as griffe reads them, for the reference.

Not here: whether the examples run; the tests do that.
"""

from __future__ import annotations

import re

import griffe


class Docstrings(griffe.Extension):
    """Show examples as code, and functions in place of the modules of their name."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Rename the section *Example*; griffe knows it as *Examples*."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(
                r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE
            )

    def on_package(self, *, pkg: griffe.Module, **_: object) -> None:
        """Point `fit` at the function where a module has that name too."""
        for name, member in list(pkg.members.items()):
            if not (member.is_alias and member.target_path.startswith(f"{pkg.name}.")):
                continue
            target = pkg.modules_collection.get_member(member.target_path)
            if target.is_module and name in target.members:
                pkg.set_member(name, griffe.Alias(name, f"{member.target_path}.{name}"))
