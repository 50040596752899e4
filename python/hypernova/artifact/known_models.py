"""Leave out of route options the models that an artifact does not hold.

Not here: one artifact that serves alone, which refuses the name of a model that it does not hold.
The rule is for an artifact that is compared with another under the same options.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Set


class KnownOptions(NamedTuple):
    """Route options that name only models of an artifact.

    Attributes:
        options: The options. ``allow`` may be empty: then the caller allows none of its models.
        dropped: The names that were left out, by option.
    """

    options: dict[str, Any]
    dropped: dict[str, tuple[str, ...]]


def known_options(models: Set[str], options: Mapping[str, Any]) -> KnownOptions:
    """Leave out the names of models that an artifact does not hold.

    Args:
        models: Names of the artifact's models.
        options: Route options; ``allow`` and ``deny`` can be read more than once. Values of the
            wrong type stay as they are, for the core to refuse.
    """
    kept, dropped = dict(options), {}
    for name in ("allow", "deny", "prices", "previous_model"):
        value = options.get(name)
        names = (value,) if name == "previous_model" else value
        if isinstance(names, str) or not isinstance(names, Iterable):
            continue
        gone = tuple(one for one in names if isinstance(one, str) and one not in models)
        if not gone:
            continue
        dropped[name] = gone
        if isinstance(value, str):
            del kept[name]
        elif isinstance(value, Mapping):
            kept[name] = {one: value[one] for one in value if one not in gone}
        else:
            kept[name] = [one for one in names if one not in gone]
    return KnownOptions(kept, dropped)
