"""Find a model's folder, and read its JSON and its tensors; every refusal is one line.

Nothing in the folder is run, and an installed package is found but not imported. Not here: what
the files mean (`reader`, `static_model`).
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypernova.errors import ExportError, NotFoundError

if TYPE_CHECKING:
    from hypernova.export.graph import Array

MODULES, WEIGHTS, TOKENIZER = "modules.json", "model.safetensors", "tokenizer.json"
_EXPECTED = "expected a folder as sentence-transformers or model2vec saves it"


def locate(source: str | Path) -> Path:
    """Return the folder that a path or the name of an installed package means.

    It has ``modules.json``, or is one of model2vec without that file.

    Raises:
        NotFoundError: No such folder or package exists.
        ExportError: The folder or package holds no model, or several.
    """
    folder = Path(source)
    if (folder / MODULES).is_file():
        return folder
    if folder.is_dir():
        if (folder / WEIGHTS).is_file() and "embeddings" in read_tensors(folder / WEIGHTS):
            return folder  # a version of model2vec that wrote no modules.json
        raise ExportError(f"{folder}: {MODULES} is missing; {_EXPECTED}")
    name = str(source).replace("-", "_")
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    for place in [] if spec is None else spec.submodule_search_locations or []:
        found = sorted(Path(place).rglob(MODULES), key=lambda path: len(path.parts))
        if len(found) == 1:
            return found[0].parent
        if found:
            listed = ", ".join(str(path.parent) for path in found)
            raise ExportError(f"package {name}: several models, name the folder of one: {listed}")
        raise ExportError(f"package {name}: no {MODULES} in {place}")
    raise NotFoundError(
        f"no model {str(source)!r}: {_EXPECTED}, or an installed package that holds one"
    )


def read_modules(folder: Path) -> list[tuple[str, Path]]:
    """Return the modules of a folder in their order: the name of each's class, and its folder."""
    modules = read_json(folder / MODULES)
    try:
        return [(str(m["type"]).rpartition(".")[2], folder / m["path"]) for m in modules]
    except (TypeError, KeyError) as error:
        raise ExportError(f"{folder / MODULES}: expected a list of modules: {error!r}") from error


def read_json(path: Path, default: Any = None) -> Any:
    """Return what a JSON file holds; ``default``, if there is one, where the file is missing."""
    if default is not None and not path.exists():
        return default
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ExportError(f"{path}: missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(f"{path}: not readable as JSON: {error}") from error


def read_object(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """Return the object that a JSON file holds; an empty one where an optional file is missing."""
    found = read_json(path, {} if optional else None)
    if not isinstance(found, dict):
        raise ExportError(f"{path}: expected a JSON object, found {type(found).__name__}")
    return found


def read_tensors(path: Path) -> dict[str, Array]:
    """Return the tensors of a safetensors file by name, each as it is stored."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.exists():
        raise ExportError(
            f"{path}: missing; weights are read from this one file only: save the model again "
            "with a sentence-transformers of today"
        )
    try:
        tensors: dict[str, Array] = load_file(path)
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise ExportError(f"{path}: not readable as float weights: {error!r}") from error
    return tensors


def read_prompt(folder: Path, name: str | None) -> str:
    """Return a prompt of ``config_sentence_transformers.json``; "" where there is none.

    Args:
        folder: The model's.
        name: Of the prompt; None for the model's default, if it has one.
    """
    path = folder / "config_sentence_transformers.json"
    config = read_object(path, optional=True)
    prompts = config.get("prompts") or {}
    name = config.get("default_prompt_name") if name is None else name
    if name is None:
        return ""
    if not isinstance(prompts, dict) or not isinstance(prompts.get(name), str):
        raise ExportError(
            f"{path}: no prompt {name!r}; it has {', '.join(map(repr, prompts)) or 'none'}"
        )
    prompt: str = prompts[name]
    return prompt
