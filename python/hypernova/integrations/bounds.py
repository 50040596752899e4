"""Hold a request's options within the operator's.

Not here: the decision, and where either come from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

from hypernova.errors import PolicyError, UnknownModelError

if TYPE_CHECKING:
    from hypernova import Artifact
    from hypernova.router import RouteOptions

# What only the operator may set. A price is what `max_cost_usd` is compared with, and a draw
# whose chance or seed a caller picks is none to learn from.
OPERATORS = ("prices", "explore", "explore_seed")
_INF = float("inf")


def narrow(
    artifact: Artifact,
    bounds: RouteOptions,
    asked: object,
    *,
    served: Collection[str] | None = None,
) -> RouteOptions:
    """Put a request's options together with the operator's, which they can only narrow.

    ``allow`` is what both allow, ``deny`` what either denies, ``max_cost_usd`` the lower and
    ``min_success`` the higher, where the artifact's default is the operator's if they set none.
    ``on_novel`` stays ``"error"`` if the operator set that. ``cost_weight``, ``latency_weight``,
    ``previous_model``, ``switch_cost`` and otherwise ``on_novel`` are the request's, and the
    operator's where it has none: they choose among the models that the bounds leave.

    Args:
        artifact: Whose models they name, and whose defaults hold.
        bounds: The operator's.
        asked: The request's, by name; None is none. What is None in it is not asked for.
        served: Models of the artifact that can be asked at all; by default every one.

    Returns:
        RouteOptions for `hypernova.Router.route`; ``allow`` names models of the artifact alone, and
        there is no ``deny``.

    Raises:
        PolicyError: ``asked`` is no mapping, has a wish that does not exist or that is the
            operator's alone, or a value that is out of range or of the wrong type.
        UnknownModelError: Either names a model that the artifact does not hold.
    """
    if asked is None:
        asked = {}
    if not isinstance(asked, Mapping):
        raise PolicyError(f"the options are of type {type(asked).__name__}, expected an object")
    given = {name: _checked(artifact, name, value) for name, value in asked.items()}
    given = {name: value for name, value in given.items() if value is not None}
    options: dict[str, Any] = {k: v for k, v in bounds.items() if v is not None}
    for name in ("allow", "deny"):
        _check_held(artifact, f"the operator's {name}", options.get(name) or ())

    allowed = set(artifact.models if served is None else served)
    for one in (options, given):
        allowed &= set(one.pop("allow", artifact.models))
        allowed -= set(one.pop("deny", ()))
    models = [model for model in artifact.models if model in allowed]
    if len(models) < len(artifact.models):
        options["allow"] = models

    policy = artifact.policy
    if (limit := given.pop("max_cost_usd", None)) is not None:
        own = options.get("max_cost_usd", policy["max_cost_usd"])
        limit = limit if own is None else min(float(own), limit)
        if limit < _INF:  # or there is none, and none is asked for
            options["max_cost_usd"] = limit
    if (least := given.pop("min_success", None)) is not None:
        options["min_success"] = max(
            float(options.get("min_success", policy["min_success"])), least
        )
    if options.get("on_novel") == "error":
        given.pop("on_novel", None)
    return cast("RouteOptions", {**options, **given})


def _checked(artifact: Artifact, name: object, value: object) -> Any:
    """Check one of a request's options: its name, its type and its range."""
    if name in OPERATORS:
        raise PolicyError(f"{name} is the operator's alone: leave it out of the request")
    if name not in _CHECKS:
        raise PolicyError(f"{name!r} is no wish; a request may have {', '.join(_CHECKS)}")
    return None if value is None else _CHECKS[name](artifact, name, value)


def _names(artifact: Artifact, name: str, value: object) -> list[str]:
    if not isinstance(value, Collection) or isinstance(value, str | bytes | Mapping):
        raise PolicyError(f"{name} is of type {type(value).__name__}, expected a list of models")
    return [_model(artifact, name, model) for model in value]


def _model(artifact: Artifact, name: str, value: object) -> str:
    if not isinstance(value, str):
        raise PolicyError(f"{name} holds {value!r}, expected the name of a model")
    _check_held(artifact, name, (value,))
    return value


def _check_held(artifact: Artifact, name: str, models: Collection[str]) -> None:
    for model in models:
        if model not in artifact.models:
            raise UnknownModelError(
                f"{name} names the model {model!r}, which the artifact does not hold; "
                f"it holds {', '.join(artifact.models)}"
            )


def _amount(_: Artifact, name: str, value: object) -> float:
    number = _number(name, value)
    if not 0.0 <= number < _INF:
        raise PolicyError(f"{name} is {value!r}; it must be a finite number, at least 0")
    return number


def _limit(_: Artifact, name: str, value: object) -> float:
    number = _number(name, value)
    if not number >= 0.0:
        raise PolicyError(f"{name} is {value!r}; it must be a number, at least 0")
    return number


def _share(_: Artifact, name: str, value: object) -> float:
    number = _number(name, value)
    if not 0.0 <= number <= 1.0:
        raise PolicyError(f"{name} is {value!r}; it must be a number from 0 to 1")
    return number


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise PolicyError(f"{name} is of type {type(value).__name__}, expected a number")
    try:
        return float(value)
    except OverflowError:
        raise PolicyError(f"{name} is a number too large for a float") from None


def _on_novel(_: Artifact, name: str, value: object) -> object:
    if value not in ("default", "best_overall", "error"):
        raise PolicyError(f"{name} is {value!r}, expected 'default', 'best_overall' or 'error'")
    return value


_CHECKS: dict[Any, Any] = {
    "allow": _names,
    "deny": _names,
    "max_cost_usd": _limit,
    "min_success": _share,
    "cost_weight": _amount,
    "latency_weight": _amount,
    "previous_model": _model,
    "switch_cost": _amount,
    "on_novel": _on_novel,
}
