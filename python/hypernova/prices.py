"""Read, check and ask for prices of models: USD per million tokens in and out, or USD per task.

Not here: the cost of an outcome or of a prompt (see ``hypernova.table.pricing`` and the core).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from hypernova.errors import MissingExtraError, NotFoundError, PriceError
from hypernova.paths import escaped, path_label
from hypernova.strict_json import reason_of, unique_keys

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping
    from typing import Self

Price: TypeAlias = "float | tuple[float, float]"
Prices: TypeAlias = "Mapping[str, Price]"

# Keys of a price in LiteLLM's map, which has further ones.
_LITELLM = ("input_cost_per_token", "output_cost_per_token")
# A copy of the map that LiteLLM fetches when it is imported.
_LITELLM_FILE = "model_prices_and_context_window_backup.json"
_EXPECTED = (
    "give USD per million tokens as [input, output] or {input = ..., output = ...}, or USD per task"
)
# A template has it where a number belongs.
_BLANK = "fill in"
# In USD, of a task or of a million tokens: costs, and the squares of their sums, stay finite.
MAX_PRICE = 1e12


def read_prices(
    path: str | os.PathLike[str], *, models: Collection[str] | None = None
) -> dict[str, Price]:
    """Read a file of prices.

    Args:
        path: JSON, or TOML if the name ends in ``.toml``: an object from models to prices. A price
            is ``[2.0, 8.0]`` or ``{"input": 2.0, "output": 8.0}``, USD per million tokens in and
            out, or a number, USD per task. LiteLLM's map of prices is read as it is
            (``input_cost_per_token`` and ``output_cost_per_token``, other keys are ignored); its
            models without a price per token are passed over. ``"litellm"`` is the map of an
            installed LiteLLM, which is not imported for it; a file of that name is ``./litellm``.
        models: Keep the prices of these models alone, such as ``artifact.models`` or
            ``table.models``; a file may list hundreds of others. By default all.

    Returns:
        By model, ``(input, output)`` in USD per million tokens, or USD per task.

    Raises:
        NotFoundError: There is no such file.
        PriceError: The file cannot be read, a price is malformed, or no model has a price.
        MissingExtraError: LiteLLM is asked for, and is not installed.

    Example:
        >>> import hypernova
        >>> artifact = hypernova.Artifact.open("router.hnv")  # doctest: +SKIP
        >>> hypernova.read_prices("prices.json", models=artifact.models)  # doctest: +SKIP
        {'large': (2.0, 8.0), 'small': (0.1, 0.4)}
    """
    return PriceList.read(path).of_models(models)


@dataclass(frozen=True)
class PriceList:
    """The entries of a file of prices, which are checked when models are asked for.

    Attributes:
        label: The file, for messages.
        entries: By model, what the file says of it.
    """

    label: str
    entries: dict[str, Any]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file, as `read_prices` does.

        Raises:
            NotFoundError: There is no such file.
            PriceError: The file cannot be read, or is no object.
            MissingExtraError: ``path`` is ``litellm``, which is not installed.
        """
        if path == "litellm":
            return cls._of_litellm()
        label = path_label(path)
        return cls(label, _read(Path(path), label))

    @classmethod
    def _of_litellm(cls) -> Self:
        """Read the map that an installed LiteLLM brings, without importing LiteLLM."""
        from importlib.util import find_spec

        spec = find_spec("litellm")  # of a package that is in no other, this runs nothing
        for folder in (spec and spec.submodule_search_locations) or ():
            path = Path(folder) / _LITELLM_FILE
            if path.is_file():
                return cls("LiteLLM's map of prices", _read(path, path_label(path)))
        raise MissingExtraError(
            'the prices of LiteLLM need litellm: pip install "hypernova-router[litellm]", or give '
            "a file of prices"
        )

    def of_models(self, models: Collection[str] | None = None) -> dict[str, Price]:
        """Return the prices of some models, or of all; see `read_prices`.

        Raises:
            PriceError: A price is malformed, or no model has a price.
        """
        entries, label = self.entries, self.label
        # Prices of other models are none of the caller's, right or wrong.
        asked = entries if models is None else [name for name in entries if name in models]
        of_litellm = any(isinstance(x, dict) and _LITELLM[0] in x for x in entries.values())
        prices: dict[str, Price] = {}
        for model in asked:
            entry = entries[model]
            if of_litellm and isinstance(entry, dict) and not {"input", "output"} & entry.keys():
                if not all(name in entry for name in _LITELLM):
                    continue
                entry = [_per_million(entry[name]) for name in _LITELLM]
            prices[model] = checked_price(model, entry, label)
        if not prices:
            several = models is not None and entries
            whose = "any of the models asked for" if several else "any model"
            named = "" if models is None else f", such as {_shown(min(models, default=''))}"
            raise PriceError(
                f"{label}: holds no price of {whose}; add one by the model's name{named}"
            )
        return prices

    def named_by(self, model: str) -> str | None:
        """Return the name under which the list has a model, or None.

        LiteLLM's map has many models without the provider that serves them, and says which it is:
        its ``gpt-4o`` of the provider ``openai`` is ``openai/gpt-4o``.
        """
        if model in self.entries:
            return model
        provider, _, name = model.partition("/")
        entry = self.entries.get(name)
        same = isinstance(entry, dict) and entry.get("litellm_provider") == provider
        return name if same and name else None


def price_template(models: Collection[str], *, toml: bool) -> str:
    """Return a file of prices to fill in; `read_prices` refuses a price that is not filled in.

    Args:
        models: The models, in the order of the file.
        toml: Whether to write TOML, which has room for an explanation; else JSON.
    """
    if not toml:
        blanks = {model: {"input": _BLANK, "output": _BLANK} for model in models}
        return json.dumps(blanks, ensure_ascii=False, indent=2) + "\n"
    # A JSON text without control characters is one of TOML too.
    lines = [
        f'{json.dumps(model, ensure_ascii=False)} = {{ input = "{_BLANK}", output = "{_BLANK}" }}'
        for model in models
    ]
    return (
        "# USD per million tokens, in and out: { input = 2.5, output = 10.0 }. One number instead\n"
        "# is USD per task. Remove the line of a model whose price you do not know.\n"
        + "\n".join(lines)
        + "\n"
    )


def checked_price(model: str, price: object, where: str) -> Price:
    """Return a price as `read_prices` does, checked.

    Args:
        model: Its model, for messages.
        price: USD per task; or USD per million tokens in and out, as two numbers in a list, a
            tuple or a mapping with ``input`` and ``output``.
        where: File or argument, for messages.

    Raises:
        PriceError: The price is another value, or a number is negative or not finite.
    """
    if isinstance(price, dict):
        if price.keys() != {"input", "output"}:
            keys = ", ".join(_shown(key) for key in list(price)[:4]) or "nothing"
            dotted = ", and quote names with dots in TOML" if where.endswith(".toml") else ""
            raise PriceError(f"{where}: model {_shown(model)}: found {keys}; {_EXPECTED}{dotted}")
        price = price["input"], price["output"]
    if isinstance(price, list | tuple):
        if len(price) != 2:
            found = f"{len(price)} numbers" if len(price) != 1 else "one number in a list"
            raise PriceError(f"{where}: model {_shown(model)}: found {found}; {_EXPECTED}")
        first, second = (_amount(model, number, where) for number in price)
        return first, second
    return _amount(model, price, where)


def _amount(model: str, value: Any, where: str) -> float:
    if value == _BLANK:
        raise PriceError(
            f"{where}: model {_shown(model)}: the price is not filled in; replace {_BLANK!r} by "
            "USD per million tokens, or remove the model"
        )
    is_number = not isinstance(value, bool | str | bytes) and hasattr(value, "__float__")
    try:
        amount = float(value) if is_number else math.nan
    except (TypeError, ValueError, OverflowError):
        amount = math.nan
    if not 0.0 <= amount <= MAX_PRICE:
        raise PriceError(
            f"{where}: model {_shown(model)}: found {_shown(value)}; "
            f"a price is a number from 0 to {MAX_PRICE:g}, in USD"
        )
    return amount


def _per_million(value: object) -> object:
    """Return a price per token as one per million, 2.0 for 2e-06 and not a neighbour of it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return value
    from decimal import Decimal

    return float(Decimal(repr(value)) * 1_000_000)


def _read(path: Path, label: str) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(f"{label}: no such file; check the path") from None
    except UnicodeDecodeError:
        raise PriceError(f"{label}: is not UTF-8; save it as UTF-8") from None
    except (OSError, ValueError) as error:  # a null byte in a path is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise PriceError(f"{label}: cannot be read ({reason}); name a file that can") from error
    found: object
    try:
        if path.suffix.lower() == ".toml":
            import tomllib

            found = tomllib.loads(text)
        else:
            found = json.loads(text, object_pairs_hook=unique_keys)
    # ValueError: malformed, a key that stands twice, or a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        if not text.strip():
            raise PriceError(f"{label}: is empty; write an object from models to prices") from None
        kind = "TOML" if path.suffix.lower() == ".toml" else "JSON"
        raise PriceError(
            f"{label}: is not valid {kind} ({reason_of(error)}); mend it there"
        ) from None
    if not isinstance(found, dict):
        raise PriceError(f"{label}: found {_shown(found)}; write an object from models to prices")
    return found


def _shown(value: object) -> str:
    text = repr(value)
    return escaped(text if len(text) <= 60 else f"{text[:60]}...")
