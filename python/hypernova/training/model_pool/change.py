"""Remove models from an artifact, and rename them.

Not here: what is stored of the models that stay; it stays as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hypernova.artifact.profile import Profile, noted, rebuild
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
        default: The new default model, if the old one is among them. Nothing is stored of
            other models' paired gain over it, so the guard then goes by the errors of both
            estimates, which are larger.

    Raises:
        UnknownModelError: The artifact does not hold a model.
        ModelPoolError: A model is named twice, no model would be left, or the default model
            goes and ``default`` does not say which takes its place.

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
            f"{chosen!r} is the default model, which all others are held against; say which of "
            f"{quoted_list(left)} takes its place (--default)"
            if default is None
            else f"{chosen!r} cannot be removed and the new default model; choose another"
        )
    profile = Profile.of(artifact).only([artifact.models.index(name) for name in left])
    note: dict[str, object] = {"what": "remove_model", "models": gone}
    if chosen != artifact.default_model:
        note["default_model"] = chosen
        error = profile.standard_error.astype(np.float64)
        place = left.index(chosen)
        gain_error = np.hypot(error, error[:, [place]]).astype(np.float32)
        gain_error[:, place] = 0.0
        profile = replace(profile, gain_error=gain_error)
    return rebuild(artifact, left, profile, chosen, noted(artifact, note))


def rename_model(artifact: Artifact, old: str, new: str) -> Artifact:
    """Give a model another name. Its index, and all decisions, stay the same.

    Args:
        artifact: That holds it.
        old: Its name.
        new: Its new name, under the rules for names in a table.

    Raises:
        UnknownModelError: The artifact does not hold ``old``.
        ModelPoolError: It holds ``new``, or another spelling of it, already, or that is no name.

    Example:
        >>> import hypernova
        >>> artifact = hypernova.Router.open().artifact
        >>> hypernova.rename_model(artifact, artifact.models[0], "mine").models[0]
        'mine'
    """
    _check_known(artifact, old)
    check_new_name(artifact, new, but=old)
    if new in artifact.models:
        raise ModelPoolError(f"the artifact holds a model {new!r} already; choose another name")
    names = [new if name == old else name for name in artifact.models]
    default = new if artifact.default_model == old else artifact.default_model
    # Figures of the fit stay true, under the names that they were found with.
    metadata = artifact.metadata
    changes = noted(artifact, {"what": "rename_model", "model": old, "to": new})["changes"]
    return rebuild(artifact, names, Profile.of(artifact), default, {**metadata, "changes": changes})


def check_new_name(artifact: Artifact, name: str, *, but: str | None = None) -> None:
    """Refuse a name for a model that no table may hold, or that looks like one at hand.

    Args:
        artifact: Whose models there are.
        name: The new name.
        but: The model that gives its name up.

    Raises:
        ModelPoolError: The name is one of these.
    """
    if not isinstance(name, str):
        raise ModelPoolError(f"{quoted(name)} is no name of a model; give one line of text")
    fault = name_problem(name)
    if fault:
        raise ModelPoolError(f"{quoted(name)} is no name of a model: {'; '.join(fault)}")
    pair = find_lookalikes([name], [known for known in artifact.models if known != but])
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
