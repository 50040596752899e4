"""Constrain a request's route options to those of the operator.

Not here: where the options come from (`litellm`, `gateway`), and the decision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from hypernova.errors import PolicyError, UnknownModelError
from hypernova.numeric import to_float

if TYPE_CHECKING:
    from hypernova import Artifact
    from hypernova.router import RouteOptions

# Options that a request may not set. `max_cost_usd` is compared with a cost, which follows from a
# price and the prompt's length, and nothing can be learned from a draw whose probability or seed
# the caller chose.
OPERATOR_ONLY = ("prices", "prompt_chars", "input_tokens", "explore", "explore_seed")


def constrain_options(
    artifact: Artifact,
    operator: RouteOptions,
    requested: object,
    *,
    served: Collection[str] | None = None,
) -> RouteOptions:
    """Merge a request's options into the operator's limits, which a request can only narrow.

    ``allow`` is what both allow, ``deny`` what either denies, ``max_cost_usd`` the lower and
    ``min_success`` the higher of both, with the artifact's default for an operator who sets none.
    An operator's ``on_novel="error"`` stays. ``cost_weight``, ``latency_weight``,
    ``previous_model``, ``switch_cost``, ``group`` and any other ``on_novel`` are the request's, or
    else the operator's: they choose among the models that the limits leave.

    Args:
        artifact: Artifact whose models the options name, and whose defaults hold.
        operator: The operator's options.
        requested: The request's options by name, or None. An option that is None is not set.
        served: Models of the artifact that can be called; by default all.

    Returns:
        Options for `hypernova.Router.route`; ``allow`` names models of the artifact only, and
        there is no ``deny``.

    Raises:
        PolicyError: ``requested`` is no mapping, or holds an option that is unknown, is the
            operator's alone, is out of range or has the wrong type.
        UnknownModelError: An option names a model that the artifact does not hold.
    """
    if requested is None:
        requested = {}
    if not isinstance(requested, Mapping):
        raise PolicyError(f"the options are of type {type(requested).__name__}, expected an object")
    request = {name: _check_option(artifact, name, value) for name, value in requested.items()}
    request = {name: value for name, value in request.items() if value is not None}
    merged: dict[str, Any] = {k: v for k, v in operator.items() if v is not None}
    for name in ("allow", "deny"):
        _check_models(artifact, f"the operator's {name}", merged.get(name) or ())

    allowed = set(artifact.models if served is None else served)
    for options in (merged, request):
        allowed &= set(options.pop("allow", artifact.models))
        allowed -= set(options.pop("deny", ()))
    models = [model for model in artifact.models if model in allowed]
    if len(models) < len(artifact.models):
        merged["allow"] = models

    policy = artifact.policy
    if (max_cost := request.pop("max_cost_usd", None)) is not None:
        operators = merged.get("max_cost_usd", policy["max_cost_usd"])
        max_cost = max_cost if operators is None else min(float(operators), max_cost)
        if max_cost < math.inf:  # an infinite limit is none
            merged["max_cost_usd"] = max_cost
    if (min_success := request.pop("min_success", None)) is not None:
        operators = merged.get("min_success", policy["min_success"])
        merged["min_success"] = max(float(operators), min_success)
    if merged.get("on_novel") == "error":
        request.pop("on_novel", None)
    return cast("RouteOptions", {**merged, **request})


def _check_option(artifact: Artifact, name: object, value: object) -> Any:
    """Return one of a request's options if its name, type and range are valid."""
    if name in OPERATOR_ONLY:
        raise PolicyError(f"{name} is the operator's alone: leave it out of the request")
    if name not in _CHECKS:
        raise PolicyError(f"{name!r} is no option; a request may have {', '.join(_CHECKS)}")
    return None if value is None else _CHECKS[name](artifact, name, value)


def _model_list(artifact: Artifact, name: str, value: object) -> list[str]:
    if not isinstance(value, Collection) or isinstance(value, str | bytes | Mapping):
        raise PolicyError(f"{name} is of type {type(value).__name__}, expected a list of models")
    return [_model(artifact, name, model) for model in value]


def _model(artifact: Artifact, name: str, value: object) -> str:
    if not isinstance(value, str):
        raise PolicyError(f"{name} holds {value!r}, expected the name of a model")
    _check_models(artifact, name, (value,))
    return value


def _check_models(artifact: Artifact, name: str, models: Collection[str]) -> None:
    for model in models:
        if model not in artifact.models:
            raise UnknownModelError(
                f"{name} names the model {model!r}, which the artifact does not hold; "
                f"it holds {', '.join(artifact.models)}"
            )


def _number(
    _: Artifact, name: str, value: object, *, is_valid: Callable[[float], bool], expected: str
) -> float:
    try:
        number = to_float(value)
    except TypeError:
        raise PolicyError(f"{name} is of type {type(value).__name__}, expected a number") from None
    except OverflowError:
        raise PolicyError(f"{name} is a number too large for a float") from None
    if not is_valid(number):
        raise PolicyError(f"{name} is {value!r}; it must be {expected}")
    return number


def _on_novel(_: Artifact, name: str, value: object) -> object:
    if value not in ("default", "best_overall", "error"):
        raise PolicyError(f"{name} is {value!r}, expected 'default', 'best_overall' or 'error'")
    return value


def _group(_: Artifact, name: str, value: object) -> str:
    if not isinstance(value, str):
        raise PolicyError(f"{name} is of type {type(value).__name__}, expected a group's name")
    return value


_weight = partial(
    _number, is_valid=lambda x: 0.0 <= x < math.inf, expected="a finite number, at least 0"
)
_limit = partial(_number, is_valid=lambda x: x >= 0.0, expected="a number, at least 0")
_probability = partial(_number, is_valid=lambda x: 0.0 <= x <= 1.0, expected="a number from 0 to 1")
_CHECKS: dict[Any, Any] = {
    "allow": _model_list,
    "deny": _model_list,
    "max_cost_usd": _limit,
    "min_success": _probability,
    "cost_weight": _weight,
    "latency_weight": _weight,
    "previous_model": _model,
    "switch_cost": _weight,
    "on_novel": _on_novel,
    "group": _group,
}
