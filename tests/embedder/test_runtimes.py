"""The core and onnxruntime make the same vectors, and say the same of the same bad input.

Not here: word pieces, readings and tables by themselves (rust/hypernova-core), and what both
runtimes promise (test_embedder.py).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova.embedder import (
    CachedEmbedder,
    Embedder,
    SharedPart,
    SharedParts,
    SkipSharedEmbedder,
    StoredEmbedder,
    bundled_embedders,
)
from hypernova.embedder.resolve import check_bundled_for, load_bundled_for, match_embedder
from hypernova.errors import (
    DeviceError,
    EmbedderError,
    EmbedderMismatchError,
    HypernovaError,
    TextError,
)
from hypernova.router.conversation import embed_turns
from support.commands import run_python
from support.paths import TABLE

CORE, ORT = (Embedder.load("static", runtime=runtime) for runtime in ("core", "onnxruntime"))
PROMPTS = hypernova.OutcomeTable.read(TABLE).prompts[:200]
BAD = {
    "empty": "",
    "blank": " \t\u00a0\n",
    "invisible": "\u200b\ufeff\u202e",
    "NUL": "\x00",
    "NUL in a text": "sort\x00 the list",
    "10 MB of one letter": "x" * 10_000_000,
    "10 MB of one umlaut": "ü" * 10_000_000,
    "10 MB of blanks": " " * 10_000_000,
    "10 MB of blanks and a word": " " * 10_000_000 + "sort",
    "half a surrogate pair": "a \ud83d face",
    "half a surrogate pair alone": "\udc00",
    "right to left": "\u05de\u05d9\u05d9\u05df \u202e\u05d0\u05ea",
    "emoji": "😀 👩\u200d💻 🏳️\u200d🌈",
    "no known token": "\ue000\ufffd",
    "no text": b"sort",
    "None": None,
}


def answer(embedder: hypernova.TextEmbedder, text: Any, *, many: bool) -> tuple[object, object]:
    """The vector of a text, or the class and the message of its error."""
    try:
        vector = embedder.embed(["sort", text])[1] if many else embedder.embed_one(text)
    except (HypernovaError, TypeError) as error:
        return type(error), str(error)
    return None, vector


def changed_copy(folder: Path, **fields: object) -> Path:
    """Copy `static` with other settings."""
    shutil.copytree(bundled_embedders()["static"], folder)
    path = folder / "embedder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields), encoding="utf-8")
    return folder


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("what", BAD)
def test_bad_input_has_the_same_answer(what: str, many: bool) -> None:
    (error, vector), (expected_error, expected) = (
        answer(embedder, BAD[what], many=many) for embedder in (CORE, ORT)
    )
    assert error == expected_error
    if error is None:
        np.testing.assert_allclose(vector, expected, rtol=0, atol=1e-6)
    else:
        assert vector == expected


@pytest.mark.parametrize(
    "texts", [{"a"}, {"a": 1}, (text for text in ["a"]), 5, None], ids=lambda x: type(x).__name__
)
@pytest.mark.parametrize("runtime", ["core", "onnxruntime"])
def test_texts_without_an_order_are_refused(runtime: str, texts: Any) -> None:
    embedder = Embedder.load("static", runtime=runtime)  # type: ignore[arg-type]
    for call in (embedder.embed, hypernova.Router.open(embedder=embedder).route_many):
        with pytest.raises(TypeError, match=f"texts is {type(texts).__name__}, expected a list"):
            call(texts)


def test_prompts_have_the_same_vectors_and_keys() -> None:
    np.testing.assert_allclose(CORE.embed(PROMPTS), ORT.embed(PROMPTS), rtol=0, atol=1e-6)
    assert [CORE.key_of(text) for text in PROMPTS] == [ORT.key_of(text) for text in PROMPTS]
    assert [CORE.read_spans(text) for text in PROMPTS] == [ORT.read_spans(text) for text in PROMPTS]


@pytest.mark.parametrize(
    "fields",
    [
        {"lead_weight": 2, "skip_courtesy": 0},
        {"max_tokens": 9, "tail_tokens": 3, "special_tokens": True},
        {"prompt": "Represent this: ", "lead_weight": 0.5, "max_tokens": 12},
        {"normalize": False, "head_chars": 20, "tail_chars": 0},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_settings_have_the_same_effect(tmp_path: Path, fields: dict[str, object]) -> None:
    folder = changed_copy(tmp_path / "copy", **fields)
    core, ort = (Embedder.load(folder, runtime=runtime) for runtime in ("core", "onnxruntime"))
    texts = [f"Title {i}\n\nHello, {text}" for i, text in enumerate(PROMPTS[:40])]
    np.testing.assert_allclose(core.embed(texts), ort.embed(texts), rtol=0, atol=1e-6)
    for text in texts[:9]:
        assert core.key_of(text) == ort.key_of(text)
        assert core.read_spans(text) == ort.read_spans(text)
        assert core.cut(text) == ort.cut(text)
    for text in ("", "\ue000"):
        assert answer(core, text, many=True) == answer(ort, text, many=True)


@pytest.mark.slow
@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_text_has_the_same_answer(texts: list[str]) -> None:
    for text in texts:
        error, vector = answer(CORE, text, many=False)
        expected_error, expected = answer(ORT, text, many=False)
        assert error == expected_error
        if error is None:
            np.testing.assert_allclose(vector, expected, rtol=0, atol=1e-6)
            assert CORE.key_of(text) == ORT.key_of(text)
        else:
            assert vector == expected


def test_batches_and_threads_do_not_change_a_bit() -> None:
    texts = [*PROMPTS, "Übersetze diesen Satz", "a " * 3000, "😀 hi"]
    alone = np.stack([CORE.embed_one(text) for text in texts])
    for threads in (1, 2, 3, 7):
        embedder = Embedder.load("static", threads=threads)
        for order in (1, -1):
            assert embedder.embed(texts[::order])[::order].tobytes() == alone.tobytes()
    router = hypernova.Router.open()
    decided = [router.decide(vector) for vector in alone]
    for threads in (1, 2, 5):
        found = hypernova.Router.open(threads=threads).route_many(texts)
        for decision, expected, text in zip(found, decided, texts, strict=True):
            assert decision.ranking == expected.ranking
            assert decision.distance == expected.distance == router.route(text).distance


def test_an_array_is_the_callers_own() -> None:
    for vectors in (CORE.embed_one("sort"), CORE.embed(["sort", "join"])):
        vectors[:] = 0
    assert CORE.embed_one("sort").any()


def test_two_turns_are_those_of_the_definition() -> None:
    for turns in [("Sort a list", "Join two tables"), ("\ue000", "Sort"), ("Sort", "\ue000")]:
        found = embed_turns(CORE, turns)
        np.testing.assert_allclose(found, embed_turns(ORT, turns), rtol=0, atol=1e-6)
        messages = [{"role": "user", "content": text} for text in turns]
        decision = hypernova.Router.open().route(messages=messages)
        assert decision.distance == hypernova.Router.open().decide(found).distance
    for embedder in (CORE, ORT):
        with pytest.raises(TextError, match="the text holds no token"):
            embed_turns(embedder, ("\ue000", "\ue001"))


# --- which runtime ---------------------------------------------------------------------------


def test_auto_takes_the_core_where_it_can(tmp_path: Path) -> None:
    assert (CORE.runtime, CORE.device) == ("core", "cpu")
    assert Embedder.load("static").runtime == "core"
    assert Embedder.load("static", device="auto").runtime == "core"
    assert ORT.runtime == Embedder.load("minilm").runtime == "onnxruntime"
    with pytest.raises(EmbedderError, match=r"minilm: the core cannot run .*use runtime='auto'"):
        Embedder.load("minilm", runtime="core")
    with pytest.raises(DeviceError, match="the core runs this embedder on the processor alone"):
        Embedder.load("static", runtime="core", device="cuda")
    other = changed_copy(tmp_path / "other")
    path = other / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokenizer["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(EmbedderError, match="expected sha256"):
        Embedder.load(other)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    settings = json.loads((other / "embedder.json").read_text()) | {"tokenizer_sha256": digest}
    (other / "embedder.json").write_text(json.dumps(settings), encoding="utf-8")
    assert Embedder.load(other).runtime == "onnxruntime"
    with pytest.raises(EmbedderError, match=r"tokenizer\.json is of another kind"):
        Embedder.load(other, runtime="core")


@pytest.mark.parametrize(
    ("name", "value"), [("runtime", "onnx"), ("runtime", None), ("mmap", "yes"), ("threads", 0)]
)
def test_unknown_values_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value!r}, expected"):
        Embedder.load("static", **{name: value})


@pytest.mark.parametrize("mmap", [True, False])
def test_a_file_is_mapped_as_asked(mmap: bool) -> None:
    embedder = Embedder.load("static", mmap=mmap)
    assert embedder.embed_one("sort").tobytes() == CORE.embed_one("sort").tobytes()
    router = hypernova.Router.open(mmap=mmap)
    assert router.route("sort").distance == hypernova.Router.open().route("sort").distance


# --- identity --------------------------------------------------------------------------------


def artifact_of(embedder: hypernova.TextEmbedder) -> hypernova.Artifact:
    identity = {"kind": "text", **embedder.identity, "fingerprint": embedder.fingerprint}
    return hypernova.Router.open().artifact.replace(embedder=identity)


def test_an_artifact_states_the_arithmetic_that_it_was_fitted_with() -> None:
    assert CORE.identity == {**ORT.identity, "arithmetic": 1}
    table = hypernova.OutcomeTable.from_arrays(
        task_ids=[str(i) for i in range(12)],
        prompts=[f"Sort list {i}" for i in range(6)] + [f"Prove theorem {i}" for i in range(6)],
        models=["a", "b"],
        score=np.repeat([[1.0, 0.0], [0.0, 1.0]], 6, axis=0),
    )
    fitted = hypernova.fit(table, embedder="static", clusters=2, jobs=1).embedder
    assert fitted["arithmetic"] == 1
    assert fitted["fingerprint"] == CORE.fingerprint


def test_the_core_serves_artifacts_of_either_runtime() -> None:
    for fitted_with in (CORE, ORT):
        artifact = artifact_of(fitted_with)
        for chosen in (None, "static", CORE, CachedEmbedder(CORE, 8)):
            router = hypernova.Router(artifact, embedder=chosen)
            assert router.embedder._innermost().runtime == "core"
            assert router.route("Sort a list").distance == (
                hypernova.Router(artifact).route("Sort a list").distance
            )
        check_bundled_for(artifact.embedder)
    assert hypernova.Router(artifact_of(CORE), embedder=CORE).embedder is CORE
    assert hypernova.Router(artifact_of(ORT), embedder=CORE).embedder is CORE
    assert hypernova.Router(artifact_of(ORT), embedder=ORT).embedder is ORT


def test_onnxruntime_does_not_serve_artifacts_of_the_core(tmp_path: Path) -> None:
    artifact = artifact_of(CORE)
    router = hypernova.Router(artifact, embedder=ORT)
    assert router.embedder.runtime == "core"
    assert router.embedder.fingerprint == CORE.fingerprint
    with pytest.raises(EmbedderMismatchError, match=r"arithmetic \(1 and onnxruntime's\)") as found:
        hypernova.Router(artifact, embedder=CachedEmbedder(ORT, 8))
    assert "\n" not in str(found.value)
    own = Embedder.load(changed_copy(tmp_path / "own", name="own"))
    as_ort = Embedder.load(tmp_path / "own", runtime="onnxruntime")
    assert hypernova.Router(artifact_of(own), embedder=as_ort).embedder.runtime == "core"
    with pytest.raises(DeviceError, match="on the processor alone"):
        hypernova.Router(artifact, device="cuda").route("Sort a list")


def test_an_arithmetic_of_another_version_is_refused_by_its_number() -> None:
    from hypernova.artifact.metadata import fingerprint_of_identity

    own = {**ORT.identity, "arithmetic": 2}
    identity = {"kind": "text", **own, "fingerprint": fingerprint_of_identity(own)}
    with pytest.raises(
        EmbedderMismatchError, match=r"in the core's arithmetic 2, .* has 1: upgrade"
    ):
        load_bundled_for(identity)
    with pytest.raises(EmbedderMismatchError, match=r"arithmetic \(2 and 1\)"):
        match_embedder(identity, CachedEmbedder(CORE, 2))


def test_shared_parts_do_not_hide_the_arithmetic() -> None:
    parts = SharedParts([SharedPart.from_text("start", "You are a careful engineer.")])
    for fitted_with in (CORE, ORT):
        artifact = artifact_of(SkipSharedEmbedder(fitted_with, parts))
        for chosen in (None, "static", CORE, CachedEmbedder(CORE, 8)):
            router = hypernova.Router(artifact, embedder=chosen)
            assert router.embedder._innermost().runtime == "core"
            text = "You are a careful engineer. Sort a list"
            assert router.embedder.embed_one(text).tobytes() == (
                CORE.embed_one("Sort a list").tobytes()
            )


def test_kept_vectors_of_two_arithmetics_do_not_mix(tmp_path: Path) -> None:
    of_ort = artifact_of(ORT).embedder
    texts = PROMPTS[:20]
    kept = {}
    for embedder in (ORT, CORE, load_bundled_for(of_ort)):
        stored = StoredEmbedder(embedder, tmp_path)
        vectors = stored.embed(texts)
        assert vectors.tobytes() == embedder.embed(texts).tobytes()
        assert StoredEmbedder(embedder, tmp_path).embed(texts).tobytes() == vectors.tobytes()
        kept[embedder.runtime, embedder.fingerprint] = vectors.tobytes()
    assert len(kept) == 3
    assert len(set(kept.values())) == 2, "else the two would make the same bits here"
    # That of 0.1.0 and of the present, each under the fingerprint of its arithmetic.
    folders = {path.name for path in tmp_path.iterdir()}
    assert folders == {ORT.fingerprint, CORE.fingerprint}


# --- one copy --------------------------------------------------------------------------------

MANY = """
import shutil, sys
from pathlib import Path
import hypernova
from hypernova.embedder import bundled_embedders

def rss_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

def opened(n, embedder):
    routers = [hypernova.Router.open(embedder=embedder, mmap=False) for _ in range(n)]
    for router in routers:
        router.route("Sort the list of shops")
    return routers

first = opened(1, None) + opened(1, "static") + opened(1, sys.argv[1])
one = rss_mb()
many = opened(14, None) + opened(13, "static") + opened(13, sys.argv[1])
print(rss_mb() - one)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc/self/status here")
def test_many_routers_take_the_memory_of_one(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(bundled_embedders()["static"], folder)
    more = float(run_python("-c", MANY, folder, code=0).stdout)
    # One more copy of the tables would take 25 MB; 40 artifacts of 133 KB, some 6.
    assert more < 15


def test_a_copy_is_shared_only_while_its_files_are_the_same(tmp_path: Path) -> None:
    folder = changed_copy(tmp_path / "copy")
    first, second = Embedder.load(folder), Embedder.load("static")
    assert first.fingerprint == second.fingerprint == CORE.fingerprint
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(EmbedderError, match=r"model\.onnx: expected sha256"):
        Embedder.load(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "model.onnx").unlink()
    shutil.copy(bundled_embedders()["static"] / "model.onnx", folder)
    with pytest.raises(EmbedderError, match=r"tokenizer\.json is missing"):
        Embedder.load(folder)


# --- nothing else is loaded ------------------------------------------------------------------

FRESH = """
import sys, hypernova
router = hypernova.Router.open()
router.route("Sort the list of shops", cost_weight=0.1)
router.route_many(["Sort the list of shops"] * 200)
router.route(messages=[{"role": "user", "content": "Sort"}, {"role": "user", "content": "Join"}])
router.warm_up()
found = {"numpy", "onnxruntime", "tokenizers"} & set(sys.modules)
assert not found, found
assert router.embedder.embed_one("Sort").shape == (512,)
assert {"numpy", "onnxruntime", "tokenizers"} & set(sys.modules) == {"numpy"}
"""


def test_routing_text_loads_none_of_the_libraries() -> None:
    run_python("-c", FRESH, code=0)


def test_a_tokenizer_that_cannot_read_a_text_is_named(tmp_path: Path) -> None:
    folder = shutil.copytree(bundled_embedders()["static"], tmp_path / "static")
    tokenizer = json.loads((folder / "tokenizer.json").read_bytes())
    # The package finds no token for an unknown word, and the core leaves such a tokenizer to it.
    tokenizer["model"]["unk_token"] = "[GONE]"
    tokenizer["normalizer"] = None
    data = json.dumps(tokenizer).encode()
    (folder / "tokenizer.json").write_bytes(data)
    described = json.loads((folder / "embedder.json").read_bytes())
    described["tokenizer_sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "embedder.json").write_text(json.dumps(described))
    embedder = Embedder.load(folder)
    assert embedder.runtime == "onnxruntime"
    with pytest.raises(EmbedderError, match=r"the tokenizer of 'static' fails: .*; export"):
        embedder.embed_one("\U00012345")
