"""Embedder: what it promises about vectors, texts, threads, and folders that are broken.

Not here: whether the shipped models are good; that is in test_models.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova.embedder import Embedder, bundled_embedders, find_bundled
from hypernova.errors import EmbedderError, HypernovaError, NotFoundError, TextError
from support.commands import run_python

TEXTS = [
    "Fix the race in the scheduler",
    "hi",
    "What is the derivative of x**2 * sin(x)?",
    "Übersetze diesen Satz ins Englische: Der Zug fährt um acht.",
    "def f(xs):\n    return [x for x in xs if x]\n" * 12,
    "请把这句话翻译成英文",
    "a " * 700,
    "Write a haiku about autumn rain and quiet streets.",
]


@pytest.fixture(scope="module")
def static() -> Embedder:
    return Embedder.load("static")


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    return Embedder.load("minilm")


@pytest.fixture(params=["static", "minilm"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return request.getfixturevalue(request.param)


# --- vectors ---------------------------------------------------------------------------------


def test_a_vector_is_float32_of_unit_length(embedder: Embedder) -> None:
    one = embedder.embed_one(TEXTS[0])
    assert one.dtype == np.float32
    assert one.shape == (embedder.dim,)
    many = embedder.embed(TEXTS)
    assert many.dtype == np.float32
    assert many.shape == (len(TEXTS), embedder.dim)
    assert many.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(np.linalg.norm(many, axis=1), 1, atol=1e-6)


@pytest.mark.slow
def test_the_same_text_gives_the_same_bits(embedder: Embedder) -> None:
    again = Embedder.load(embedder.name)
    for text in TEXTS:
        first = embedder.embed_one(text)
        assert np.array_equal(first, embedder.embed_one(text))
        assert np.array_equal(first, again.embed_one(text))


@pytest.mark.slow
def test_the_batch_does_not_matter_and_order_is_restored(embedder: Embedder) -> None:
    texts = [f"{text} {i}" for i in range(9) for text in TEXTS]
    alone = np.stack([embedder.embed_one(text) for text in texts])
    together = embedder.embed(texts)
    backwards = embedder.embed(texts[::-1])[::-1]
    assert (alone * together).sum(axis=1).min() > 0.99999
    assert (alone * backwards).sum(axis=1).min() > 0.99999
    # The texts differ enough that a wrong order would show.
    assert (alone * np.roll(together, 1, axis=0)).sum(axis=1).min() < 0.9


def test_texts_that_differ_have_vectors_that_differ(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    cosines = vectors @ vectors.T - np.eye(len(TEXTS))
    assert cosines.max() < 0.99


def test_meaning_is_nearer_than_wording(embedder: Embedder) -> None:
    query, near, far = embedder.embed(
        ["How do I sort a list in Python?", "python list sorting", "How do I bake sourdough bread?"]
    )
    assert query @ near > query @ far


def test_no_texts_give_no_rows(static: Embedder) -> None:
    assert static.embed([]).shape == (0, 512)
    assert static.embed([]).dtype == np.float32


def test_more_texts_than_one_window(static: Embedder) -> None:
    texts = [f"number {i} of many" for i in range(4500)]
    vectors = static.embed(texts)
    for i in (0, 2047, 2048, 4499):
        assert vectors[i] @ static.embed_one(texts[i]) > 0.99999


def test_progress_counts_every_text_once(static: Embedder) -> None:
    done: list[int] = []
    texts = [*TEXTS, "A title\nand a body", "Another title\nand more"] * 40
    static.embed(texts, progress=done.append)
    assert sum(done) == len(texts)
    assert len(done) > 1
    assert 0 not in done


@pytest.mark.slow
def test_sixteen_threads_get_what_one_gets(embedder: Embedder) -> None:
    expected = [embedder.embed_one(text) for text in TEXTS]
    jobs = list(range(len(TEXTS))) * 8
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda i: embedder.embed_one(TEXTS[i]), jobs))
    for i, vector in zip(jobs, found, strict=True):
        assert np.array_equal(vector, expected[i])


def test_threads_do_not_change_the_vector(minilm: Embedder) -> None:
    two = Embedder.load("minilm", threads=2)
    assert two.embed_one(TEXTS[4]) @ minilm.embed_one(TEXTS[4]) > 0.99999
    with pytest.raises(ValueError, match="threads is 0, expected at least 1"):
        Embedder.load("minilm", threads=0)


@pytest.mark.parametrize("runtime", ["core", "onnxruntime"])
def test_threads_are_a_number_that_fits(runtime: Any) -> None:
    with pytest.raises(ValueError, match="expected at least 1, below"):
        Embedder.load("static", threads=2**70, runtime=runtime)
    with pytest.raises(TypeError, match=r"threads is 1.5, expected an integer"):
        Embedder.load("static", threads=1.5, runtime=runtime)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="threads is 0, expected at least 1"):
        hypernova.Router.open(threads=0).route("Join two tables")


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "embedder.json"])
@pytest.mark.parametrize("runtime", ["auto", "onnxruntime"])
def test_a_pipe_is_no_file(tmp_path: Path, runtime: Any, name: str) -> None:
    folder = shutil.copytree(bundled_embedders()["static"], tmp_path / "folder")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(EmbedderError, match=rf"{name}: cannot be read: It is a pipe"):
        Embedder.load(folder, runtime=runtime)


# --- texts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t \u00a0\u2003", "\x00", "\x01\x02", "\u200b \ufeff", "\u2028\u202e"]
)
def test_an_empty_text_is_refused_with_its_index(static: Embedder, text: str) -> None:
    with pytest.raises(TextError, match="the text is empty"):
        static.embed_one(text)
    with pytest.raises(TextError, match="text 3 is empty"):
        static.embed(["a", "b", "c", text])


def test_the_index_is_of_the_sequence_and_not_of_the_window(static: Embedder) -> None:
    with pytest.raises(TextError, match="text 3000 is empty"):
        static.embed(["a"] * 3000 + [""])


@pytest.mark.parametrize("text", ["\ue000", "\ufffd"])
def test_a_text_without_a_token_is_refused(embedder: Embedder, text: str) -> None:
    with pytest.raises(TextError, match="text 1 holds no token"):
        embedder.embed(["a", text])


@pytest.mark.parametrize("text", [None, 3, b"bytes", ["list"]])
def test_what_is_not_a_str_is_a_type_error(static: Embedder, text: Any) -> None:
    with pytest.raises(TypeError, match=f"text 1 is {type(text).__name__}, expected str"):
        static.embed(["a", text])
    with pytest.raises(TypeError, match=f"the text is {type(text).__name__}, expected str"):
        static.embed_one(text)


def test_one_str_is_no_sequence_of_texts(static: Embedder) -> None:
    with pytest.raises(TypeError, match="use embed_one"):
        static.embed("abc")


def test_half_a_surrogate_pair_reads_as_the_replacement_character(embedder: Embedder) -> None:
    broken = embedder.embed_one("a broken \ud83d emoji")
    assert np.array_equal(broken, embedder.embed_one("a broken \ufffd emoji"))


def test_nul_bytes_are_no_obstacle(embedder: Embedder) -> None:
    assert np.isfinite(embedder.embed_one("before\x00after")).all()


@pytest.mark.parametrize("unit", ["word ", "x", "é", "\x00y", "😀"])
def test_ten_megabytes_are_cut_first(embedder: Embedder, unit: str) -> None:
    text = unit * (10_000_000 // len(unit))
    assert np.isfinite(embedder.embed_one(text)).all()


def test_the_middle_of_a_long_text_is_cut(static: Embedder, minilm: Embedder) -> None:
    head, tail = "start " * 256, " end" * 128
    assert (len(head), len(tail)) == (1536, 512)
    cut = static.embed_one(head + tail)
    assert cut @ static.embed_one(head + "middle " * 5000 + tail) > 0.99999
    assert cut @ static.embed_one(head + tail.replace("end", "sea")) < 0.99
    long = "A prompt about many things. " * 500
    end = (
        "Here it is, at the end of all, after many things: where is the city of {} today, dear sir?"
    )
    found = minilm.embed_one(long + end.format("Lima"))
    other = long + "More of them. " * 5_000 + "A prompt about many things. " + end.format("Lima")
    assert np.array_equal(found, minilm.embed_one(other))
    assert not np.array_equal(found, minilm.embed_one(long + end.format("Rome")))


def test_the_cut_makes_up_no_word(static: Embedder) -> None:
    text = "x" * 1532 + " cat" + "-" * 1000 + "fish " + "y" * 507
    # A run of more than 100 letters is one unknown token, however long: this text is not cut.
    joined = "x" * 1500 + " cat fish " + "y" * 507
    assert np.array_equal(static.embed_one(text), static.embed_one(joined))


@pytest.mark.slow
@given(st.text(max_size=60))
@settings(max_examples=300)
def test_any_text_has_a_vector_or_a_text_error(text: str) -> None:
    embedder = fuzzed()
    try:
        vector = embedder.embed_one(text)
    except TextError:
        # Nothing that has a letter or a digit may be refused.
        assert not any(character.isascii() and character.isalnum() for character in text)
    else:
        assert abs(float(np.linalg.norm(vector)) - 1) < 1e-5


@given(st.lists(st.text(alphabet=st.characters(), min_size=1, max_size=20), max_size=12))
@settings(max_examples=100)
def test_a_batch_fails_where_one_of_it_fails(texts: list[str]) -> None:
    embedder = fuzzed()
    first = None
    for i, text in enumerate(texts):
        try:
            embedder.embed_one(text)
        except TextError:
            first = i
            break
    if first is None:
        assert embedder.embed(texts).shape == (len(texts), embedder.dim)
    else:
        with pytest.raises(TextError, match=rf"^text {first} "):
            embedder.embed(texts)


_FUZZED: list[Embedder] = []


def fuzzed() -> Embedder:
    """One embedder for all examples, with a lead: hypothesis and fixtures do not mix."""
    if not _FUZZED:
        with tempfile.TemporaryDirectory() as folder:
            _FUZZED.append(copy_of("static", Path(folder) / "static", lead_weight=2))
    return _FUZZED[0]


# --- the lead --------------------------------------------------------------------------------
# The oracle: the bundled embedders, which have lead_weight 0, made to read all of a text, and the
# rule written out in ``by_hand``.

ISSUE = "Scheduler drops a job\n\nSteps to reproduce: start two workers and wait.\n"


BLANKS = " \t\r\n\u2003\x00\x01\u200b\ufeff"


def by_hand(plain: Embedder, text: str, chars: int = 200, weight: float = 2.0) -> np.ndarray:
    """The vector of ``text`` under the rule, from an embedder that lacks it."""
    vector = plain.embed_one(text).astype(np.float64)
    text = text.strip(BLANKS)
    lead = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[0].rstrip()[:chars]
    if lead != text:
        try:
            vector += weight * plain.embed_one(lead)
        except TextError:
            return vector  # the lead holds no token
    return vector / np.linalg.norm(vector)


def copy_of(name: str, folder: Path, **fields: object) -> Embedder:
    """A bundled embedder with other settings; it reads all of a text, unless they say otherwise."""
    shutil.copytree(bundled_embedders()[name], folder)
    change(folder, **{"skip_courtesy": 0, **fields})
    return Embedder.load(folder)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Embedder]:
    """The bundled embedders, which have the rule off, by name."""
    folder = tmp_path_factory.mktemp("plain")
    return {name: copy_of(name, folder / name) for name in ("static", "minilm")}


@pytest.fixture(scope="module")
def led_by_name(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Embedder]:
    """The bundled embedders with the rule on, by name."""
    folder = tmp_path_factory.mktemp("led")
    return {name: copy_of(name, folder / name, lead_weight=2) for name in ("static", "minilm")}


@pytest.fixture(params=["static", "minilm"])
def led(request: pytest.FixtureRequest, led_by_name: dict[str, Embedder]) -> Embedder:
    """A bundled embedder with the rule on."""
    return led_by_name[request.param]


LED = [
    pytest.param(ISSUE, id="title and body"),
    pytest.param(ISSUE.replace("\n", "\r\n"), id="lines end with CRLF"),
    pytest.param(ISSUE.replace("\n", "\r"), id="lines end with CR"),
    pytest.param(" \n\t\n\u2003\r\n   " + ISSUE, id="blank lines first"),
    pytest.param("\ufeff\u200b\n\x00\nTitle\nbody", id="lines of invisible marks first"),
    pytest.param("Title  \t \nbody", id="blanks at the end of the lead"),
    pytest.param(
        "Sort the numbers. " * 11 + "Bake some bread. " * 20 + "\nEnd.",
        id="a lead longer than lead_chars",
    ),
    pytest.param(
        "Sort the numbers. " * 11 + "Bake some bread. " * 20, id="one line longer than lead_chars"
    ),
    pytest.param("Title\n" + "body " * 5000, id="a text that is cut"),
    pytest.param("Über \ud83d etwas\nund mehr davon", id="half a surrogate pair"),
]


@pytest.mark.slow
@pytest.mark.parametrize("text", LED)
def test_the_lead_counts_twice_more(led: Embedder, plain: dict[str, Embedder], text: str) -> None:
    expected = by_hand(plain[led.name], text)
    found = led.embed_one(text)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found @ plain[led.name].embed_one(text) < 0.9999, "the rule made no difference"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Fix the race in the scheduler", id="one line"),
        pytest.param("\n  Fix the race in the scheduler \r\n\n", id="one line among blank ones"),
        pytest.param(("sort a list " * 17)[:200], id="one line of lead_chars"),
        pytest.param("\u200b\x01\nFix the race in the scheduler", id="a lead without a token"),
    ],
)
def test_a_text_without_a_lead_of_its_own_is_embedded_as_it_is(
    led: Embedder, plain: dict[str, Embedder], text: str
) -> None:
    assert np.array_equal(led.embed_one(text), plain[led.name].embed_one(text))


def test_how_lines_end_does_not_change_the_lead(led: Embedder, plain: dict[str, Embedder]) -> None:
    # The tokenizers take every line end for a space, so that only the lead could tell them apart.
    expected = led.embed_one(ISSUE)
    for end in ("\r\n", "\r"):
        text = ISSUE.replace("\n", end)
        assert np.array_equal(plain[led.name].embed_one(text), plain[led.name].embed_one(ISSUE))
        assert np.array_equal(led.embed_one(text), expected)


@pytest.mark.slow
def test_texts_with_and_without_a_lead_share_a_sequence(
    led: Embedder, plain: dict[str, Embedder]
) -> None:
    with_lead = [param.values[0] for param in LED]
    texts = [
        text for pair in zip(with_lead, [*TEXTS, "Title", "Body"], strict=True) for text in pair
    ]
    found = led.embed(texts)
    assert found.flags["C_CONTIGUOUS"]
    # atol: what padding changes in minilm, see models/README.md.
    alone = np.stack([led.embed_one(text) for text in texts])
    np.testing.assert_allclose(found, alone, atol=1e-5)
    expected = np.stack([by_hand(plain[led.name], text) for text in texts])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_leads_stay_with_their_texts_across_windows(led_by_name: dict[str, Embedder]) -> None:
    embedder = led_by_name["static"]
    texts = [f"title {i}\nof many" if i % 3 else f"number {i}" for i in range(2100)]
    found = embedder.embed(texts)
    for i in (0, 1, 2046, 2047, 2048, 2049, 2099):
        np.testing.assert_allclose(found[i], embedder.embed_one(texts[i]), atol=1e-6)


def test_other_weights_and_lengths(tmp_path: Path, plain: dict[str, Embedder]) -> None:
    half = copy_of("static", tmp_path / "half", lead_chars=9, lead_weight=0.5)
    np.testing.assert_allclose(
        half.embed_one(ISSUE), by_hand(plain["static"], ISSUE, 9, 0.5), atol=1e-6
    )
    most = copy_of("static", tmp_path / "most", lead_weight=1000)
    assert most.embed_one(ISSUE) @ plain["static"].embed_one(ISSUE.split("\n")[0]) > 0.99999


PIECES = ("fix", "the race", "é", "请", "\x00", "\u200b", " ", "\t", "\u2003", "\n", "\r\n", "\r")


@pytest.mark.slow
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), max_size=6))
@settings(max_examples=200)
def test_any_texts_are_mixed_as_by_hand(plain: dict[str, Embedder], texts: list[str]) -> None:
    embedder = fuzzed()
    good, expected = [], []
    for text in texts:
        try:
            expected.append(by_hand(plain["static"], text))
        except TextError:
            with pytest.raises(TextError):
                embedder.embed_one(text)
        else:
            good.append(text)
            np.testing.assert_allclose(embedder.embed_one(text), expected[-1], atol=1e-6)
    if good:
        np.testing.assert_allclose(embedder.embed(good), np.stack(expected), atol=1e-6)


# --- identity --------------------------------------------------------------------------------


def test_the_fingerprint_is_the_sha256_of_the_canonical_identity(embedder: Embedder) -> None:
    identity = embedder.identity
    fields = {
        "format", "name", "dim", "model_sha256", "tokenizer_sha256", "pooling", "normalize",
        "max_tokens", "head_chars", "tail_chars", "special_tokens", "lead_chars", "lead_weight",
        "skip_courtesy",
    }  # fmt: skip
    own = {"static": {"arithmetic"}, "minilm": {"tail_tokens"}}
    assert set(identity) == fields | own[embedder.name]
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert embedder.fingerprint == hashlib.sha256(text.encode()).hexdigest()
    assert find_bundled(embedder.fingerprint) == bundled_embedders()[embedder.name]


def test_the_identity_is_a_copy(static: Embedder) -> None:
    static.identity["dim"] = 1
    assert static.identity["dim"] == static.dim == 512


def test_no_bundled_embedder_has_another_fingerprint(broken: Path) -> None:
    assert find_bundled("0" * 64) is None
    change(broken, lead_weight=2)
    assert find_bundled(Embedder.load(broken).fingerprint) is None


@pytest.mark.slow
def test_a_setting_changes_the_fingerprint_and_a_note_does_not(
    static: Embedder, broken: Path
) -> None:
    assert Embedder.load(broken).fingerprint == static.fingerprint
    change(broken, licence="another", source="elsewhere")
    assert Embedder.load(broken).fingerprint == static.fingerprint
    found = {static.fingerprint}
    for field, value in [("head_chars", 1537), ("lead_chars", 199), ("lead_weight", 2)]:
        change(broken, **{field: value})
        found.add(Embedder.load(broken).fingerprint)
    change(broken, max_tokens=96)
    found.add(Embedder.load(broken).fingerprint)
    change(broken, tail_tokens=32)
    found.add(Embedder.load(broken).fingerprint)
    assert len(found) == 6


def test_importing_the_module_loads_neither_onnxruntime_nor_tokenizers() -> None:
    code = (
        "import sys, hypernova.embedder as e\n"
        "assert e.bundled_embedders() and e.find_bundled('0' * 64) is None\n"
        "sys.exit(' '.join({'onnxruntime', 'tokenizers'} & set(sys.modules)) or None)"
    )
    run_python("-c", code, code=0)


# --- broken folders --------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of the static embedder, for a test to damage."""
    folder = tmp_path / "copy"
    shutil.copytree(bundled_embedders()["static"], folder)
    return folder


def change(folder: Path, **fields: object) -> None:
    """Set fields of ``embedder.json``; the checksums follow the files."""
    path = folder / "embedder.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    for file in ("model.onnx", "tokenizer.json"):
        digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        settings[file.partition(".")[0] + "_sha256"] = digest
    path.write_text(json.dumps(settings | fields), encoding="utf-8")


def message(source: Path) -> str:
    """The error of loading ``source``, which is one line and names the folder."""
    with pytest.raises(EmbedderError) as caught:
        Embedder.load(source)
    text = str(caught.value)
    assert str(source) in text
    assert "\n" not in text
    return text


def test_a_copy_loads_and_gives_the_same_vectors(static: Embedder, broken: Path) -> None:
    copy = Embedder.load(broken)
    assert np.array_equal(copy.embed_one(TEXTS[0]), static.embed_one(TEXTS[0]))
    assert Embedder.load(str(broken)).fingerprint == static.fingerprint


def test_an_unknown_name_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no embedder 'bge'.*minilm, static"):
        Embedder.load("bge")
    with pytest.raises(FileNotFoundError, match="absent"):
        Embedder.load(tmp_path / "absent")
    assert issubclass(NotFoundError, HypernovaError)


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json", "embedder.json"])
def test_a_missing_file_is_named(broken: Path, file: str) -> None:
    (broken / file).unlink()
    assert message(broken).startswith(f"{broken}: {file} is missing")


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json", "embedder.json"])
def test_a_folder_in_a_files_place_cannot_be_read(broken: Path, file: str) -> None:
    (broken / file).unlink()
    (broken / file).mkdir()
    assert f"{file}: cannot be read" in message(broken)


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json"])
def test_another_file_than_the_one_described_is_refused(broken: Path, file: str) -> None:
    old = hashlib.sha256((broken / file).read_bytes()).hexdigest()
    with (broken / file).open("r+b") as handle:
        handle.seek(1000)
        byte = handle.read(1)[0]
        handle.seek(1000)
        handle.write(bytes([byte ^ 1]))
    new = hashlib.sha256((broken / file).read_bytes()).hexdigest()
    text = message(broken)
    assert file in text
    assert f"expected sha256 {old}" in text
    assert f"found {new}" in text


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_settings_that_are_no_json(broken: Path, data: bytes) -> None:
    (broken / "embedder.json").write_bytes(data)
    assert "embedder.json: not JSON" in message(broken)


def test_settings_that_are_no_object(broken: Path) -> None:
    (broken / "embedder.json").write_text("[1]", encoding="utf-8")
    assert "expected a JSON object, found [1]" in message(broken)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("format", 2, "the integer 1"),
        ("format", True, "the integer 1"),
        ("name", "", "a string that is not empty"),
        ("dim", 0, "an integer from 1, below 2**31"),
        ("dim", 256.0, "an integer from 1, below 2**31"),
        ("model_sha256", "abc", "64 hex digits"),
        ("tokenizer_sha256", None, "64 hex digits"),
        ("pooling", "max", "'model', 'mean' or 'cls'"),
        ("pooling", ["mean"], "'model', 'mean' or 'cls'"),
        ("normalize", 1, "true or false"),
        ("max_tokens", 0, "null, or an integer from 1, below 2**31"),
        ("max_tokens", 10**30, "null, or an integer from 1, below 2**31"),
        ("tail_tokens", 0, "an integer from 1, below 2**31"),
        ("tail_tokens", None, "an integer from 1, below 2**31"),
        ("tail_chars", False, "0, or an integer from 1, below 2**31"),
        ("head_chars", 0, "an integer from 1, below 2**31"),
        ("tail_chars", -1, "0, or an integer from 1, below 2**31"),
        ("special_tokens", "no", "true or false"),
        ("lead_chars", 0, "an integer from 1, below 2**31"),
        ("lead_chars", 200.0, "an integer from 1, below 2**31"),
        ("name", "\ud800", "a string that is not empty"),
        ("prompt", "\udfff", "a string that is not empty"),
        ("lead_weight", -0.5, "a number from 0 to 1000"),
        ("lead_weight", 1000.5, "a number from 0 to 1000"),
        ("lead_weight", float("nan"), "a number from 0 to 1000"),
        ("lead_weight", float("inf"), "a number from 0 to 1000"),
        ("lead_weight", True, "a number from 0 to 1000"),
        ("lead_weight", "2", "a number from 0 to 1000"),
        ("skip_courtesy", True, "0 or 1"),
        ("skip_courtesy", 2, "0 or 1"),
        ("licence", 7, "a string"),
        ("source", {}, "a string"),
    ],
)
def test_a_wrong_field_is_named(broken: Path, field: str, value: object, expected: str) -> None:
    change(broken, **{field: value})
    assert f"field '{field}': expected {expected}, found {value!r}" in message(broken)


@pytest.mark.parametrize("field", ["pooling", "lead_chars", "lead_weight"])
def test_a_missing_field_is_named(broken: Path, field: str) -> None:
    path = broken / "embedder.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    del settings[field]
    path.write_text(json.dumps(settings), encoding="utf-8")
    assert f"field '{field}' is missing" in message(broken)


def test_an_unknown_field_is_named(broken: Path) -> None:
    change(broken, trust_remote_code=True)
    assert "unknown field 'trust_remote_code'" in message(broken)


def test_a_model_that_is_none(broken: Path) -> None:
    (broken / "model.onnx").write_bytes(b"not a model")
    change(broken)
    assert "model.onnx: not a model that onnxruntime can load" in message(broken)


def test_a_tokenizer_that_is_none(broken: Path) -> None:
    (broken / "tokenizer.json").write_text('{"version": "1.0"}', encoding="utf-8")
    change(broken)
    assert "tokenizer.json: not a tokenizer" in message(broken)


def test_a_wrong_dim(broken: Path) -> None:
    change(broken, dim=255)
    text = message(broken)
    assert "dim 255" in text
    assert "expect an output of shape (1, 255), found (1, 512)" in text


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_pooling_that_the_output_does_not_fit(broken: Path, pooling: str) -> None:
    change(broken, pooling=pooling)
    text = message(broken)
    assert f"pooling '{pooling}'" in text
    assert "shape (1, 2, 512), found (1, 512)" in text


def test_a_tokenizer_with_more_tokens_than_the_model(broken: Path) -> None:
    path = broken / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"]["hypernova"] = 30522
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    change(broken)
    assert "token 30522, the highest in tokenizer.json" in message(broken)


def test_an_empty_vocabulary(broken: Path) -> None:
    path = broken / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokenizer |= {"added_tokens": [], "post_processor": None}
    tokenizer["model"] |= {"type": "WordLevel", "vocab": {}}
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    change(broken)
    assert "the vocabulary is empty" in message(broken)


def test_more_tokens_than_the_model_has_positions(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(bundled_embedders()["minilm"], folder)
    change(folder, max_tokens=257)
    assert "a trial with 257 times token" in message(folder)


@pytest.mark.slow
@pytest.mark.parametrize("special", [True, False])
def test_no_room_beside_the_special_tokens(broken: Path, special: bool) -> None:
    change(broken, special_tokens=special, max_tokens=2)
    assert "max_tokens is 2, expected more than the 2 special tokens" in message(broken)


@pytest.mark.slow
def test_no_room_for_the_last_tokens(broken: Path) -> None:
    change(broken, max_tokens=8, tail_tokens=6)
    assert "tail_tokens is 6, expected less than the 6 that max_tokens leaves" in message(broken)
    change(broken, max_tokens=8, tail_tokens=5)
    Embedder.load(broken)
    change(broken, max_tokens=None, tail_tokens=5)
    assert "tail_tokens is 5, but max_tokens, of which it is a part, is null" in message(broken)


@pytest.mark.slow
def test_padding_and_truncation_in_the_tokenizer_have_no_effect(
    static: Embedder, broken: Path
) -> None:
    path = broken / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokenizer["truncation"] = {
        "max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right"
    }  # fmt: skip
    tokenizer["padding"] = {
        "strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
    }  # fmt: skip
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    change(broken)
    vector = Embedder.load(broken).embed_one(TEXTS[2])
    assert np.array_equal(vector, static.embed_one(TEXTS[2]))


# --- other models ----------------------------------------------------------------------------
# A tiny graph: the rows of a table of 30522 x 2, either each (batch, seq, 2) or pooled.


def tiny(
    folder: Path,
    *,
    pooled: bool = False,
    inputs: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids"),
    kind: str = "INT64",
    table: np.ndarray | None = None,
    double: bool = False,
    external: bool = False,
    unit_length: bool = False,
    **fields: object,
) -> Path:
    """Replace the model of ``folder`` by a tiny one, and describe it."""
    onnx = pytest.importorskip("onnx", reason="tiny models are written with onnx")
    helper, types = onnx.helper, onnx.TensorProto
    if table is None:
        table = np.stack([np.arange(30522) + 1.0, np.full(30522, 2.0)], axis=1).astype(np.float32)
    nodes = []
    sources = []
    for name in inputs:
        nodes.append(helper.make_node("Cast", [name], [f"{name}.int"], to=types.INT64))
        sources.append(f"{name}.int")
    nodes.append(helper.make_node("Gather", ["table", sources[0]], ["rows"]))
    last = "rows"
    if "token_type_ids" in inputs:  # a type other than 0 would show
        nodes += [
            helper.make_node("Cast", ["token_type_ids"], ["types"], to=types.FLOAT),
            helper.make_node("Unsqueeze", ["types", "last"], ["column"]),
            helper.make_node("Add", ["rows", "column"], ["typed"]),
        ]
        last = "typed"
    if pooled:
        nodes.append(helper.make_node("ReduceSum", [last, "seq"], ["pooled"], keepdims=0))
        last = "pooled"
    if unit_length:
        nodes.append(helper.make_node("LpNormalization", [last], ["unit"], axis=-1, p=2))
        last = "unit"
    output = types.DOUBLE if double else types.FLOAT
    nodes.append(helper.make_node("Cast", [last], ["out"], to=output))
    constants = [
        onnx.numpy_helper.from_array(table, "table"),
        onnx.numpy_helper.from_array(np.array([-1]), "last"),
        onnx.numpy_helper.from_array(np.array([1]), "seq"),
    ]
    shape = ["batch", 2] if pooled else ["batch", "seq", 2]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(n, getattr(types, kind), ["batch", "seq"]) for n in inputs],
        [helper.make_tensor_value_info("out", output, shape)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder / "model.onnx"
    path.unlink()
    onnx.save(model, str(path), save_as_external_data=external, location="weights.bin")
    described = {"name": "tiny", "dim": 2, "pooling": "model" if pooled else "mean"}
    change(folder, **(described | fields))
    return folder


def unit(*vector: float) -> np.ndarray:
    return np.array(vector, dtype=np.float32) / np.float32(np.hypot(*vector))


@pytest.mark.parametrize("inputs", [("input_ids",), ("input_ids", "attention_mask")])
def test_mean_pooling_leaves_padding_out(broken: Path, inputs: tuple[str, ...]) -> None:
    embedder = Embedder.load(tiny(broken, inputs=inputs))
    # "the" is token 1996 and "hello" 7592; a row is (id + 1, 2).
    texts = ["the", "the hello hello", "hello"]
    expected = np.stack([unit(1997, 2), unit((1997 + 2 * 7593) / 3, 2), unit(7593, 2)])
    np.testing.assert_allclose(embedder.embed(texts), expected, rtol=1e-5)
    np.testing.assert_allclose(embedder.embed_one(texts[1]), expected[1], rtol=1e-5)


def test_a_model_without_a_mask_never_sees_padding(broken: Path) -> None:
    embedder = Embedder.load(tiny(broken, inputs=("input_ids",), pooled=True))
    texts = ["the", "the hello hello", "hello"]
    expected = np.stack([embedder.embed_one(text) for text in texts])
    np.testing.assert_allclose(embedder.embed(texts), expected, rtol=1e-6)


def test_cls_pooling_takes_the_first_token(broken: Path) -> None:
    embedder = Embedder.load(tiny(broken, pooling="cls"))
    expected = np.stack([unit(1997, 2), unit(7593, 2)])
    np.testing.assert_allclose(embedder.embed(["the hello", "hello the the"]), expected, rtol=1e-5)


def test_special_tokens_are_added_where_asked(broken: Path) -> None:
    embedder = Embedder.load(tiny(broken, pooling="cls", special_tokens=True))
    np.testing.assert_allclose(embedder.embed_one("the"), unit(102, 2), rtol=1e-5)
    with pytest.raises(TextError, match="holds no token"):
        embedder.embed_one("\ue000")


def test_max_tokens_truncates(broken: Path) -> None:
    embedder = Embedder.load(tiny(broken, max_tokens=3))
    np.testing.assert_allclose(
        embedder.embed_one("the the the hello"), embedder.embed_one("the the the"), rtol=1e-6
    )
    assert embedder.embed_one("the the hello")[0] > embedder.embed_one("the the the")[0]


def test_the_last_tokens_count_where_there_is_no_room_for_all(broken: Path) -> None:
    fields = {"max_tokens": 4, "tail_tokens": 1, "special_tokens": True, "lead_weight": 0}
    embedder = Embedder.load(tiny(broken, **fields))
    # [CLS], one of the beginning, one of the end, [SEP]: 101, 1996, 7592, 102, each plus one.
    expected = unit((102 + 1997 + 7593 + 103) / 4, 2)
    for text in ("the hello", "the the hello", "the" + " a cat" * 200 + " hello"):
        np.testing.assert_allclose(embedder.embed_one(text), expected, rtol=1e-6)
        np.testing.assert_allclose(embedder.embed([text, "hello"])[0], expected, rtol=1e-6)
    assert not np.allclose(embedder.embed_one("the hello the"), expected)


def test_an_input_that_is_unknown(broken: Path) -> None:
    text = message(tiny(broken, inputs=("input_ids", "position_ids")))
    assert "found input_ids, position_ids" in text
    assert "at most attention_mask and token_type_ids" in text


def test_an_input_that_is_missing(broken: Path) -> None:
    text = message(tiny(broken, inputs=("attention_mask",)))
    assert "expected the input input_ids" in text
    assert "found attention_mask" in text


def test_an_input_of_another_type(broken: Path) -> None:
    text = message(tiny(broken, kind="INT32"))
    assert "input input_ids: expected tensor(int64), found tensor(int32)" in text


def test_an_output_of_another_type(broken: Path) -> None:
    assert "output out: expected tensor(float), found tensor(double)" in message(
        tiny(broken, double=True)
    )


def test_weights_outside_the_model_are_not_read(
    broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny(broken, external=True)
    assert (broken / "weights.bin").is_file()
    monkeypatch.chdir(broken)
    assert "not a model that onnxruntime can load" in message(broken)


def test_a_model_that_ought_to_normalise_and_does_not(broken: Path) -> None:
    text = message(tiny(broken, normalize=False))
    assert "set normalize to true" in text
    assert "a trial with 2 times token 30521" in text


def test_a_model_that_normalises_itself_is_taken_at_its_word(broken: Path) -> None:
    table = np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (30522, 1))
    embedder = Embedder.load(tiny(broken, table=table, normalize=False))
    np.testing.assert_allclose(embedder.embed_one("the hello"), [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("normalize", [True, False])
def test_the_sum_with_the_lead_has_length_1_whoever_normalises(
    broken: Path, normalize: bool
) -> None:
    table = np.ones((30522, 2), dtype=np.float32)
    table[1996], table[7592] = (1, 0), (0, 1)  # "the" and "hello"
    fields = {"table": table, "unit_length": True, "normalize": normalize, "lead_weight": 2}
    embedder = Embedder.load(tiny(broken, inputs=("input_ids",), pooled=True, **fields))
    half = np.sqrt(0.5)
    expected = np.stack([unit(half + 2, half), unit(half, half + 2), unit(half, half)])
    texts = ["the\nhello", "hello\nthe", "the hello"]
    np.testing.assert_allclose(embedder.embed(texts), expected, rtol=1e-6)
    for text, vector in zip(texts, expected, strict=True):
        np.testing.assert_allclose(embedder.embed_one(text), vector, rtol=1e-6)


def test_a_lead_that_cancels_its_text_is_an_error(broken: Path) -> None:
    table = np.ones((30522, 2), dtype=np.float32)
    table[1996], table[7592] = (1, 0), (-2, 0)
    folder = tiny(broken, inputs=("input_ids",), pooled=True, table=table, lead_weight=1)
    embedder = Embedder.load(folder)
    with pytest.raises(EmbedderError, match="a text and 1 times that of its lead add up to 0"):
        embedder.embed_one("the\nhello")
    with pytest.raises(EmbedderError, match="of text 1 and 1 times that of its lead add up to 0"):
        embedder.embed(["hello", "the\nhello", "hello\nhello"])


def test_a_text_is_one_run_and_its_lead_another(
    minilm: Embedder, led_by_name: dict[str, Embedder], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[tuple[int, ...]] = []

    class Counting:
        """The session, with a record of what it ran."""

        def run(self, outputs: list[str], feeds: dict[str, np.ndarray]) -> Any:
            runs.append(feeds["input_ids"].shape)
            return session.run(outputs, feeds)

    for embedder, expected in ((minilm, [(1, 5)]), (led_by_name["minilm"], [(1, 5), (1, 4)])):
        model = embedder._backend._model
        session = model._session
        monkeypatch.setattr(model, "_session", Counting())
        runs.clear()
        embedder.embed_one("the hello")
        assert runs == [(1, 4)]
        runs.clear()
        embedder.embed_one("the hello\nthe")
        assert runs == expected


def test_a_row_of_zeros_is_no_fault_until_a_text_needs_it(broken: Path) -> None:
    table = np.ones((30522, 2), dtype=np.float32)
    table[-1] = 0
    assert Embedder.load(tiny(broken, table=table)).embed_one("hello") @ unit(1, 1) > 0.99999


@pytest.mark.parametrize(("value", "shown"), [(0.0, "0.0"), (np.nan, "nan"), (np.inf, "inf")])
def test_a_vector_without_a_direction_is_an_error(broken: Path, value: float, shown: str) -> None:
    table = np.ones((30522, 2), dtype=np.float32)
    table[1996] = value
    embedder = Embedder.load(tiny(broken, table=table))
    assert embedder.embed_one("hello") @ unit(1, 1) > 0.99999
    with pytest.raises(EmbedderError, match=f"a vector has length {shown}, expected a finite"):
        embedder.embed_one("the")
    with pytest.raises(
        EmbedderError, match=f"^text 1: .*a vector has length {shown}, expected a f"
    ):
        embedder.embed(["hello", "the", "hello"])
    with pytest.raises(EmbedderError, match=r"^text 812346: "):
        embedder._embed_indexed(["hello hello", "the", "hello"], range(812_345, 812_348), None)
