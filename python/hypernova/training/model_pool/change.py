"""Remove models from an artifact, and rename them.

Not here: adding models (see ``add``). The columns of all other models keep their bits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hypernova.artifact.profile import ModelColumns, Profile, noted, rebuild
from hypernova.errors import ModelPoolError, UnknownModelError
from hypernova.table.model_names import describe_lookalikes, find_lookalikes, name_problem
from hypernova.table.source import quoted, quoted_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova._core import Artifact


def remove_model(
    artifact: Artifact, models: str | Sequence[str], *, default: str | None = None
) -> Artifact:
    """Remove models from an artifact.

    Args:
        artifact: To remove from.
        models: One name, or several.
        default: The new default model, required if the old one is removed. The artifact holds
            no paired gains over the new one, so the guard then uses the errors of both
            estimates as if unpaired, which are larger.

    Returns:
        The new artifact, in memory.

    Raises:
        UnknownModelError: The artifact does not hold a model.
        ModelPoolError: A model is named twice, no model would be left, or the default model
            is removed without a ``default`` in its place.

    Example:
        >>> import hypernova
        >>> artifact = hypernova.Router.open().artifact
        >>> len(hypernova.remove_model(artifact, artifact.models[0]).models)
        23
    """
    gone = [models] if isinstance(models, str) else list(models)
    for name in gone:
        _check_known(artifact, name)
        if gone.count(name) > 1:
            raise ModelPoolError(f"the model {name!r} is named twice; name it once")
    if not gone:
        raise ModelPoolError("no model is named; name those to remove")
    left = [name for name in artifact.models if name not in gone]
    if not left:
        raise ModelPoolError("no model would be left to choose; keep at least one")
    if default is not None:
        _check_known(artifact, default)
    chosen = default or artifact.default_model
    if chosen in gone:
        raise ModelPoolError(
            f"{chosen!r} is the default model, with which all others are compared; name which of "
            f"{quoted_list(left)} takes its place (--default)"
            if default is None
            else f"{chosen!r} cannot be removed and the new default model; choose another"
        )
    columns = ModelColumns.of(artifact).only([artifact.models.index(name) for name in left])
    note: dict[str, object] = {"what": "remove_model", "models": gone}
    if chosen != artifact.default_model:
        note["default_model"] = chosen
        place, groups = left.index(chosen), columns.groups
        if groups is not None:
            groups = replace(groups, profile=unpaired(groups.profile, place))
        columns = replace(columns, profile=unpaired(columns.profile, place), groups=groups)
    return rebuild(artifact, left, columns, chosen, noted(artifact, note))


def unpaired(profile: Profile, default: int) -> Profile:
    """Return a profile with errors of the gain over another default model, as if unpaired."""
    error = profile.standard_error.astype(np.float64)
    gain_error = np.hypot(error, error[:, [default]]).astype(np.float32)
    gain_error[:, default] = 0.0
    return replace(profile, gain_error=gain_error)


def rename_model(artifact: Artifact, old: str, new: str) -> Artifact:
    """Rename a model. Its index and all decisions stay the same.

    Args:
        artifact: Holds the model.
        old: Present name of the model.
        new: New name, under the rules for names in a table.

    Returns:
        The new artifact, in memory.

    Raises:
        UnknownModelError: The artifact does not hold ``old``.
        ModelPoolError: The artifact holds ``new`` or another spelling of it already, or ``new`` is
            no valid name.

    Example:
        >>> import hypernova
        >>> artifact = hypernova.Router.open().artifact
        >>> hypernova.rename_model(artifact, artifact.models[0], "mine").models[0]
        'mine'
    """
    _check_known(artifact, old)
    check_new_name(artifact, new, renamed=old)
    if new in artifact.models:
        raise ModelPoolError(f"the artifact holds a model {new!r} already; choose another name")
    names = [new if name == old else name for name in artifact.models]
    default = new if artifact.default_model == old else artifact.default_model
    # Figures of the fit stay true, under the names of the fit.
    metadata = artifact.metadata
    changes = noted(artifact, {"what": "rename_model", "model": old, "to": new})["changes"]
    columns = ModelColumns.of(artifact)
    return rebuild(artifact, names, columns, default, {**metadata, "changes": changes})


def check_new_name(artifact: Artifact, name: str, *, renamed: str | None = None) -> None:
    """Refuse a name that no table may hold, or that is another spelling of a known model.

    Args:
        artifact: Holds the known models.
        name: The new name.
        renamed: The known model whose name is given up, or None.

    Raises:
        ModelPoolError: The name is refused.
    """
    if not isinstance(name, str):
        raise ModelPoolError(f"{quoted(name)} is no name of a model; give one line of text")
    fault = name_problem(name)
    if fault:
        raise ModelPoolError(f"{quoted(name)} is no name of a model: {'; '.join(fault)}")
    pair = find_lookalikes([name], [known for known in artifact.models if known != renamed])
    if pair:
        raise ModelPoolError(
            f"the artifact holds another spelling of that model: {describe_lookalikes(*pair)}; "
            "choose another name"
        )


def _check_known(artifact: Artifact, name: str) -> None:
    if name not in artifact.models:
        raise UnknownModelError(
            f"the artifact holds no model {quoted(name)}; it holds {quoted_list(artifact.models)}"
        )
