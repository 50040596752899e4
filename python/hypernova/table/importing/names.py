"""Rename models, and find names that look like one model under several spellings.

Not here: whether a name may stand in a table (`hypernova.table.model_names`).
"""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypernova.errors import NotFoundError
from hypernova.strict_json import reason_of, unique_keys
from hypernova.table.model_names import name_problem
from hypernova.table.source import Source, quoted

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Mapping

# Gateways put these in front of the name of a model that is served elsewhere too.
_REGION = re.compile(r"^(?:us-gov|us|eu|apac|ap|jp|au|ca|sa|me|af|global)\.(?=[a-z])")
_VENDORS = (
    "ai21", "amazon", "anthropic", "azure", "bedrock", "cohere", "deepseek", "google", "meta",
    "minimax", "mistral", "mistralai", "moonshot", "moonshotai", "nvidia", "openai", "qwen",
    "stability", "twelvelabs", "vertex", "writer", "xai", "zai",
)  # fmt: skip
_VENDOR = re.compile(rf"^(?:{'|'.join(_VENDORS)})\.(?=[a-z])")
# `Meta-Llama-3` is Llama-3; `mistral-7b` without its first word would be any model of that size.
_VENDOR_WORD = re.compile(r"^(?:meta(?=[-_ ]llama)|openai(?=[-_ ])|anthropic(?=[-_ ]))[-_ ]")
# How a gateway serves the model; `:thinking` and `:online` are left out, for they answer otherwise.
_SERVED = re.compile(r"(?::(?:free|beta|extended|nitro|floor|exacto|latest)|[-_ @]latest)+$")
_BEDROCK_VERSION = re.compile(r"[-_]v(\d+):(\d+)(?::\d+k)?$")
_VERTEX_REVISION = re.compile(r"[-_]v\d+(?=@\d{8}$)")
_YEAR, _MONTH, _DAY = r"20[12]\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_DATE = re.compile(
    rf"(?<![a-z0-9])(?:{_YEAR}([-_. ]?){_MONTH}\1{_DAY}|{_MONTH}-{_YEAR}|{_YEAR}-{_MONTH})"
    r"(?![a-z0-9])"
)
# `-0613` is a day of a year, `-2407` a month; `-4096` is a size.
_SHORT_DATE = re.compile(rf"(?<=[a-z0-9])[-_@ ](?:{_MONTH}{_DAY}|2[2-9]{_MONTH})$")
_PREVIEW_DATE = re.compile(rf"(?<=preview)[-_ ]{_MONTH}-{_DAY}$")
_POINT = re.compile(r"\bv(\d+)p(\d+)\b")  # `v3p1`, where a name may hold no point
_VERSION_LETTER = re.compile(r"(?<![a-z0-9])v(?=\d)")
# Set apart: Qwen 1.8B is not an 8B of version 1.
_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?[bmt])(?![a-z0-9])")
_PART = re.compile(r"/[0-9.]+[bmt]/|[^\W_]+")


def read_renames(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read a file of new names of models.

    Args:
        path: JSON, or TOML if the name ends in ``.toml``: an object from the name in the logs to
            the name in the table. Two names may get one new name: they become one model.

    Returns:
        The new name of each name; a name that is its own new name is left out.

    Raises:
        NotFoundError: There is no such file.
        TableError: The file cannot be read, is no object of texts, holds a name that no table may
            hold, or a new name is to be renamed too.

    Example:
        >>> read_renames("names.json")  # doctest: +SKIP
        {'openai/gpt-4o': 'gpt-4o', 'gpt-4o-2024-08-06': 'gpt-4o'}
    """
    place = Path(path)
    source = Source.of(place, "line")
    renames: dict[str, str] = {}
    for old, new in _read_object(place, source).items():
        if not isinstance(new, str):
            dotted = "; in TOML, put a name with dots in quotes" if isinstance(new, dict) else ""
            raise source.error(
                f"model {quoted(old)}: found {quoted(new)}", f"give a new name{dotted}"
            )
        problem = name_problem(new)
        if problem:
            raise source.error(f"new name of {quoted(old)}: {problem[0]}", problem[1])
        if old != new:
            renames[old] = new
    for old, new in renames.items():
        if new in renames:
            raise source.error(
                f"{quoted(old)} becomes {quoted(new)}, which becomes {quoted(renames[new])}",
                "give the last name for both: each name is renamed once",
            )
    return renames


def unused_renames(renames: Mapping[str, str], models: Collection[str]) -> tuple[str, ...]:
    """Return the names to rename that no log has, in the order of the file.

    Args:
        renames: New name of each name.
        models: Names of the models in the logs, as they were before.
    """
    return tuple(old for old in renames if old not in models)


def similar_names(models: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Find names that look like one model: other spellings, providers or dates of one name.

    Upper and lower case, punctuation, the provider before a slash, dates, ``latest``, and the
    prefixes and suffixes of gateways do not count. Versions and sizes do: ``gpt-4o`` and
    ``gpt-4o-mini`` are two models, and so are 7B and 72B of one family.

    Args:
        models: Names of models.

    Returns:
        Each set of two names or more, sorted, in the order of their first names. A name is in one
        set at most.

    Example:
        >>> similar_names(["openai/gpt-4o", "GPT-4o (2024-08-06)", "gpt-4o-mini"])
        (('GPT-4o (2024-08-06)', 'openai/gpt-4o'),)
    """
    alike: dict[str, list[str]] = {}
    for model in sorted(set(models)):
        alike.setdefault(_identity(model), []).append(model)
    return tuple(sorted(tuple(names) for names in alike.values() if len(names) > 1))


def suggested_renames(names: Iterable[str]) -> str:
    """Return the content of a file that gives names that look like one model one name.

    The name is the shortest of them; of equally long ones the first in the order of the alphabet.

    Args:
        names: A set of `similar_names`.

    Returns:
        A JSON object on one line, which `read_renames` reads.
    """
    first, *others = sorted(names, key=lambda name: (len(name), name))
    return json.dumps(dict.fromkeys(sorted(others), first), ensure_ascii=False)


def _identity(name: str) -> str:
    """Return a text that is the same for names that look like one model, and for no others."""
    whole = unicodedata.normalize("NFKC", name).casefold().strip()
    # Folders of lm-evaluation-harness have two underscores for a slash.
    text = whole.replace("__", "/").rstrip("/").rpartition("/")[2]
    text = _VENDOR.sub("", _REGION.sub("", text))
    text = _VENDOR_WORD.sub("", _SERVED.sub("", text))
    text = _without_date(_VERTEX_REVISION.sub("", _BEDROCK_VERSION.sub(_bedrock_version, text)))
    text = _VERSION_LETTER.sub("", _POINT.sub(r"\1.\2", text))
    spelled = _joined(_SIZE.sub(r"/\1/", text).replace("+", "-plus"))
    # A name that is nothing but a date is itself.
    return spelled if any(map(str.isalpha, spelled)) else whole


def _bedrock_version(found: re.Match[str]) -> str:
    """Return what the version of a Bedrock name tells: ``-v0:2`` is 0.2, ``-v1:0`` nothing.

    In ``claude-3-5-sonnet-20241022-v2:0`` it is a revision, as the date is; in ``claude-v2:1`` it
    is the version itself.
    """
    major, minor = found.groups()
    before = found.string[: found.start()]
    if minor == "0" and (major == "1" or _DATE.search(before)):
        return ""
    return f"-{major}.{minor}" if minor != "0" else f"-{major}"


def _without_date(text: str) -> str:
    shorter = _DATE.sub("", text)
    if shorter == text:
        shorter = _SHORT_DATE.sub("", _PREVIEW_DATE.sub("", text))
    return shorter


def _joined(text: str) -> str:
    """Return letters and digits of a name; a point separates two numbers, and nothing else."""
    joined = ""
    for part in _PART.findall(text):
        joined += "." * (joined[-1:].isdigit() and part[0].isdigit()) + part
    return joined


def _read_object(path: Path, source: Source) -> dict[str, Any]:
    is_toml = path.suffix.lower() == ".toml"
    kind = "TOML" if is_toml else "JSON"
    found: object
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(f"{source.label}: no such file; check the path") from None
    except OSError as error:
        raise source.error(
            f"cannot be read ({error.strerror or error})", "name a file that can"
        ) from error
    except UnicodeDecodeError:
        raise source.error("is not UTF-8", "save it as UTF-8") from None
    try:
        if is_toml:
            import tomllib

            found = tomllib.loads(text)
        else:
            found = json.loads(text, object_pairs_hook=unique_keys)
    # ValueError: malformed, a key that stands twice, or a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        if not text.strip():
            raise source.error("is empty", 'write an object, {"old": "new"}') from None
        raise source.error(f"is not valid {kind} ({reason_of(error)})", "mend it there") from None
    if not isinstance(found, dict):
        raise source.error(
            f"found {quoted(found)}", 'write an object from names to new names, {"old": "new"}'
        )
    return found
