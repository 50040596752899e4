"""Exports of static models against model2vec itself, and every refusal by its words.

The models are made here: tokenizers trained on a few texts, and random rows. Not here: encoders
(`test_export.py`), and the graph itself (`test_lookup.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

import hypernova
from hypernova._core import LookupTable
from hypernova.embedder import Embedder
from hypernova.errors import ExportError
from hypernova.export import export_embedder
from support.commands import run, run_python
from support.paths import EXPORTS, ROOT, TABLE

if TYPE_CHECKING:
    from pathlib import Path

PROSE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TEXTS = [
    *json.loads((EXPORTS / "texts.json").read_text(encoding="utf-8")),
    "a word of nothing known 🙂 and back",
    "tokens by name: [UNK] [PAD] <unk>",
    PROSE[:3_000],  # more than 512 tokens
    "é" * 9_000 + " word",
    PROSE,  # more than 512 times the median length of a token
    *(line for line in PROSE.splitlines()[::4] if line),
]
DIM = 24


def train(kind: str) -> Tokenizer:
    """Train a tokenizer of some hundred tokens that does not know every character."""
    if kind == "WordPiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer: Any = trainers.WordPieceTrainer(
            vocab_size=400, special_tokens=["[PAD]", "[UNK]"], limit_alphabet=40
        )
    elif kind == "BPE":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet)
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=300, unk_token="<unk>", special_tokens=["<pad>", "<unk>"]
        )
    trainer.show_progress = False
    tokenizer.train_from_iterator(TEXTS[8:], trainer)
    return tokenizer


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    return {kind: train(kind) for kind in ("WordPiece", "BPE", "Unigram")}


@pytest.fixture(scope="module")
def package() -> Any:
    return pytest.importorskip("model2vec").StaticModel


def rows_of(tokenizer: Tokenizer) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.normal(size=(tokenizer.get_vocab_size(), DIM)).astype(np.float32)


def save(folder: Path, tokenizer: Tokenizer, config: dict[str, Any], **tensors: Any) -> Path:
    """Save a model as the first versions of model2vec did: without modules.json."""
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def add_modules(folder: Path, *kinds: str) -> None:
    modules = [
        {
            "idx": i,
            "path": f"{i}_{kind}" if i else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def expected(tokenizer: Tokenizer, rows: np.ndarray, text: str, drop: str | None) -> np.ndarray:
    """The mean of a text's rows, from the definition."""
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    dropped = None if drop is None else tokenizer.token_to_id(drop)
    return unit(np.mean([rows[i] for i in ids if i != dropped], axis=0, dtype=np.float64))


def tokens_of(model: Any, texts: list[str]) -> list[list[int]]:
    """Tokens that the package makes of texts before it leaves unknown ones out."""
    limit = model.max_length
    cut = texts if limit is None else [t[: limit * model.median_token_length] for t in texts]
    return [model.tokenizer.encode(text, add_special_tokens=False).ids for text in cut]


class TestParity:
    """With the package, whose own sums are float32: it is given the numbers as float64."""

    def compare(self, model: Any, folder: Path, dtype: str = "float64") -> Embedder:
        model.save_pretrained(folder / "model")
        done = export_embedder(folder / "model", folder / "out")
        theirs = type(model).from_pretrained(folder / "model", quantize_to=dtype)
        assert done.max_tokens == theirs.max_length
        assert done.worst_cosine > 0.999999
        vectors = theirs.encode(TEXTS)
        known = vectors.any(1)  # the package's vector of a text without a known token is 0
        assert known.sum() > len(TEXTS) - 5
        texts = [text for text, some in zip(TEXTS, known, strict=True) if some]
        ours = Embedder.load(folder / "out")
        for found in (np.stack([ours.embed_one(text) for text in texts]), ours.embed(texts)):
            np.testing.assert_allclose(found, unit(vectors[known]), rtol=0, atol=1e-6)
        table = LookupTable.open(folder / "out" / "model.onnx")
        assert table is not None, "the core does not recognise the graph"
        core = np.stack([table.embed(ids) for ids in tokens_of(theirs, texts)])
        np.testing.assert_allclose(core, unit(vectors[known]), rtol=0, atol=1e-6)
        return ours

    @pytest.mark.parametrize("kind", ["WordPiece", "BPE", "Unigram"])
    @pytest.mark.parametrize("normalize", [True, False])
    def test_rows_alone(self, package, tokenizers, kind, normalize, tmp_path) -> None:
        tokenizer = tokenizers[kind]
        self.compare(package(rows_of(tokenizer), tokenizer, normalize=normalize), tmp_path)

    @pytest.mark.parametrize("kind", ["WordPiece", "Unigram"])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_weights(self, package, tokenizers, kind, dtype, tmp_path) -> None:
        tokenizer = tokenizers[kind]
        weights = np.geomspace(0.01, 5, tokenizer.get_vocab_size()).astype(dtype)
        self.compare(package(rows_of(tokenizer), tokenizer, weights=weights), tmp_path)

    @pytest.mark.parametrize("weighted", [True, False])
    def test_a_vocabulary_that_shares_rows(self, package, tokenizers, weighted, tmp_path) -> None:
        tokenizer = tokenizers["WordPiece"]
        size = tokenizer.get_vocab_size()
        model = package(
            rows_of(tokenizer)[:60],
            tokenizer,
            token_mapping=np.random.default_rng(2).integers(0, 60, size),
            weights=np.geomspace(0.1, 5, size).astype(np.float32) if weighted else None,
        )
        self.compare(model, tmp_path)

    @pytest.mark.parametrize("dtype", [np.float16, np.float64])
    def test_other_floats(self, package, tokenizers, dtype, tmp_path) -> None:
        rows = rows_of(tokenizers["WordPiece"]).astype(dtype)
        self.compare(package(rows, tokenizers["WordPiece"]), tmp_path)

    @pytest.mark.parametrize("weighted", [True, False])
    def test_rows_of_8_bits_stay_as_they_are(self, package, tokenizers, weighted, tmp_path) -> None:
        rows = np.rint(rows_of(tokenizers["BPE"]) * 40).clip(-127, 127).astype(np.int8)
        weights = np.geomspace(0.1, 5, len(rows)).astype(np.float32) if weighted else None
        self.compare(package(rows, tokenizers["BPE"], weights=weights), tmp_path)
        assert (tmp_path / "out" / "model.onnx").stat().st_size < rows.nbytes + 4 * len(rows) + 2000

    @pytest.mark.parametrize("limit", [None, 1, 20])
    def test_the_limit_is_the_models(self, package, tokenizers, limit, tmp_path) -> None:
        tokenizer = tokenizers["BPE"]
        ours = self.compare(package(rows_of(tokenizer), tokenizer, max_length=limit), tmp_path)
        assert ours.identity["max_tokens"] == limit

    def test_a_tokenizer_that_pads_and_adds_special_tokens(self, package, tmp_path) -> None:
        bert = EXPORTS / "bert-mean" / "tokenizer.json"
        tokenizer = Tokenizer.from_file(str(bert))
        tokenizer.enable_padding(length=64)
        tokenizer.enable_truncation(8)
        self.compare(package(rows_of(tokenizer), tokenizer), tmp_path)

    def test_the_command_line(self, package, tokenizers, tmp_path) -> None:
        rows = rows_of(tokenizers["WordPiece"])
        package(rows, tokenizers["WordPiece"]).save_pretrained(tmp_path / "model")
        done = run("export-embedder", tmp_path / "model", "-o", tmp_path / "out")
        assert done.returncode == 0, done.stderr
        assert f"model, {DIM} dimensions, 512 tokens" in done.stdout
        assert "worst 1.000000" in done.stdout
        names = {path.name for path in (tmp_path / "out").iterdir()}
        assert names == {"embedder.json", "model.onnx", "tokenizer.json"}


class TestLayouts:
    """Folders that no version at hand writes, against the definition."""

    @pytest.fixture
    def tokenizer(self, tokenizers) -> Tokenizer:
        return tokenizers["WordPiece"]

    TEXT = "the word of a token 🙂 and a prompt"

    @pytest.mark.parametrize("runtime", ["core", "onnxruntime"])
    @pytest.mark.parametrize("dtype", [np.float32, np.int8])
    def test_a_text_of_unknown_words_alone(self, tokenizer, dtype, runtime, tmp_path) -> None:
        """It has the direction of the unknown token, which counts for nothing beside others."""
        rows = (rows_of(tokenizer) * 40).astype(dtype)
        save(tmp_path / "model", tokenizer, {}, embeddings=rows)
        export_embedder(tmp_path / "model", tmp_path / "out")
        embedder = Embedder.load(tmp_path / "out", runtime=runtime)
        unknown = unit(rows[tokenizer.token_to_id("[UNK]")].astype(np.float64))
        assert embedder.embed_one("🙂") == pytest.approx(unknown, abs=1e-6)
        assert embedder.embed(["the", "🙂 " * 300])[1] == pytest.approx(unknown, abs=1e-6)
        text = "🙂 " * 300 + "word"
        found = expected(tokenizer, rows, text, "[UNK]")
        assert embedder.embed_one(text) == pytest.approx(found, abs=1e-6)

    def test_without_modules(self, tokenizer, tmp_path) -> None:
        rows = rows_of(tokenizer)
        save(tmp_path / "model", tokenizer, {"normalize": True}, embeddings=rows)
        assert export_embedder(tmp_path / "model", tmp_path / "out").max_tokens == 512
        found = Embedder.load(tmp_path / "out").embed_one(self.TEXT)
        assert found == pytest.approx(expected(tokenizer, rows, self.TEXT, "[UNK]"), abs=1e-6)

    def test_texts_reach_beyond_the_limits(self, tokenizers) -> None:
        """Else a wrong cut would not show."""
        for tokenizer in tokenizers.values():
            median = np.median([len(token) for token in tokenizer.get_vocab()])
            assert len(PROSE) > 512 * median
            assert len(tokenizer.encode(PROSE[:3_000]).ids) > 512

    def test_of_sentence_transformers(self, tokenizer, tmp_path) -> None:
        """No limit on tokens; the unknown one counts; a prompt of the model comes first."""
        rows = rows_of(tokenizer)
        folder = tmp_path / "model"
        folder.mkdir()
        place = folder / "0_StaticEmbedding"
        save(place, tokenizer, {}, **{"embedding.weight": rows})
        add_modules(folder, "StaticEmbedding", "Normalize")
        modules = json.loads((folder / "modules.json").read_text())
        modules[0]["path"] = place.name
        (folder / "modules.json").write_text(json.dumps(modules))
        prompts = {"prompts": {"query": "find the "}, "default_prompt_name": "query"}
        (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
        done = export_embedder(folder, tmp_path / "out")
        assert (done.max_tokens, done.prompt) == (None, "find the ")
        embedder = Embedder.load(tmp_path / "out")
        for text in (self.TEXT, PROSE[:3_000]):
            found = expected(tokenizer, rows, "find the " + text, None)
            assert embedder.embed_one(text) == pytest.approx(found, abs=1e-6)

    @pytest.mark.slow
    def test_the_core_alone_routes_with_it(self, tokenizer, tmp_path) -> None:
        save(tmp_path / "model", tokenizer, {}, embeddings=rows_of(tokenizer))
        export_embedder(tmp_path / "model", tmp_path / "out")
        table = hypernova.OutcomeTable.read(TABLE)
        hypernova.fit(table, embedder=tmp_path / "out", clusters=4).save(tmp_path / "r.hnv")
        code = (
            "import sys, hypernova\n"
            "router = hypernova.Router.open(sys.argv[1], embedder=sys.argv[2])\n"
            "router.route('Write a SQL query')\n"
            "print({'numpy', 'onnxruntime', 'tokenizers'} & set(sys.modules) or 'none')\n"
        )
        done = run_python("-c", code, tmp_path / "r.hnv", tmp_path / "out", code=0)
        assert done.stdout == "none\n"

    def test_8_bits_on_request(self, tokenizer, tmp_path) -> None:
        rows = rows_of(tokenizer)
        save(tmp_path / "model", tokenizer, {}, embeddings=rows)
        done = export_embedder(tmp_path / "model", tmp_path / "out", int8=True)
        assert 0.999 < done.worst_cosine < 0.999999
        assert (tmp_path / "out" / "model.onnx").stat().st_size < rows.nbytes / 4 + 4_000

    def test_the_same_model_gives_the_same_bytes(self, tokenizer, tmp_path) -> None:
        save(tmp_path / "model", tokenizer, {}, embeddings=rows_of(tokenizer))
        for out in ("a", "b"):
            export_embedder(tmp_path / "model", tmp_path / out)
        for path in (tmp_path / "a").iterdir():
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


class TestRefusals:
    @pytest.fixture
    def model(self, tokenizers, tmp_path) -> Path:
        tokenizer = tokenizers["WordPiece"]
        folder = save(tmp_path / "model", tokenizer, {}, embeddings=rows_of(tokenizer))
        add_modules(folder, "StaticEmbedding")
        return folder

    def refused(self, model: Path, match: str, **options: Any) -> None:
        with pytest.raises(ExportError, match=match) as raised:
            export_embedder(model, model.parent / "out", **options)
        assert "\n" not in str(raised.value)
        assert {path.name for path in model.parent.iterdir()} == {"model"}

    def change(self, model: Path, **tensors: Any) -> None:
        stored = load_file(model / "model.safetensors") | tensors
        stored = {name: tensor for name, tensor in stored.items() if tensor is not None}
        save_file(stored, model / "model.safetensors")

    def test_no_embeddings(self, model) -> None:
        self.change(model, embeddings=None, other=np.zeros((3, 3), np.float32))
        self.refused(model, r"tensors other: expected embeddings")

    def test_no_tensor_at_all(self, model) -> None:
        self.change(model, embeddings=None)
        self.refused(model, r"tensors none: expected embeddings")

    def test_a_tensor_of_another_kind_of_model(self, model) -> None:
        self.change(model, bias=np.zeros(3, np.float32))
        self.refused(model, r"tensors bias, embeddings: expected embeddings")

    @pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.bool_, np.int64])
    def test_rows_of_another_type(self, model, dtype) -> None:
        rows = load_file(model / "model.safetensors")["embeddings"]
        self.change(model, embeddings=rows.astype(dtype))
        self.refused(model, f"embeddings is {np.dtype(dtype)}: expected float16, float32")

    def test_weights_of_another_type(self, model) -> None:
        self.change(model, weights=np.ones(400, np.int8))
        self.refused(model, r"weights is int8: expected float16, float32 or float64$")

    def test_rows_of_bfloat16(self, model) -> None:
        header = b'{"embeddings":{"dtype":"BF16","shape":[400,1],"data_offsets":[0,800]}}'
        data = len(header).to_bytes(8, "little") + header + bytes(800)
        (model / "model.safetensors").write_bytes(data)
        self.refused(model, r"model\.safetensors: ")

    @pytest.mark.parametrize("shape", [(400,), (400, 2, 2), (400, 0), (0, 4)])
    def test_rows_of_another_shape(self, model, shape) -> None:
        self.change(model, embeddings=np.ones(shape, np.float32))
        self.refused(model, r"embeddings has shape .*, expected a matrix")

    @pytest.mark.parametrize("n", [1, 399, 401])
    def test_a_tokenizer_of_another_size(self, model, n) -> None:
        self.change(model, embeddings=np.ones((n, 4), np.float32))
        self.refused(model, f"embeddings has {n} rows, and .* 400 tokens: expected one row")

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("name", ["embeddings", "weights"])
    def test_a_number_that_is_not_finite(self, model, name, bad) -> None:
        found = np.ones((400, DIM) if name == "embeddings" else 400, np.float32)
        found[7] = bad
        self.change(model, **{name: found})
        self.refused(model, f"{name} holds a number that is not finite")

    def test_a_product_beyond_float32(self, model) -> None:
        self.change(
            model,
            embeddings=np.full((400, 4), 1e30, np.float32),
            weights=np.full(400, 1e30, np.float32),
        )
        self.refused(model, "embeddings times weights holds a number that is not finite")

    def test_rows_of_zeros_alone(self, model) -> None:
        self.change(model, embeddings=np.zeros((400, 4), np.float32))
        self.refused(model, "no token of 14 sample texts has a vector")

    @pytest.mark.parametrize("shape", [(399,), (400, 1)])
    def test_weights_of_another_shape(self, model, shape) -> None:
        self.change(model, weights=np.ones(shape, np.float32))
        self.refused(model, "weights has shape .*, expected 400 numbers, one for each token")

    @pytest.mark.parametrize(
        ("mapping", "match"),
        [
            (np.zeros(399, np.int64), "mapping is int64 of shape"),
            (np.zeros(400, np.float32), "mapping is float32 of shape"),
            (np.full(400, 400), "mapping names row 400: embeddings has 400 rows"),
            (np.full(400, -1), "mapping names row -1: embeddings has 400 rows"),
        ],
    )
    def test_a_mapping_that_does_not_fit(self, model, mapping, match) -> None:
        self.change(model, mapping=mapping)
        self.refused(model, match)

    @pytest.mark.parametrize("limit", [0, -1, 1.5, "512", True, 2**31])
    def test_a_limit_that_is_none(self, model, limit) -> None:
        (model / "config.json").write_text(json.dumps({"max_length": limit}))
        self.refused(model, "max_length .*: expected null or an integer from 1")

    @pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
    @pytest.mark.parametrize("content", [None, b"", b"{", b"3"])
    def test_a_file_is_missing_or_damaged(self, model, name, content) -> None:
        (model / name).unlink()
        if content is not None:
            (model / name).write_bytes(content)
        self.refused(model, rf"{name}: (missing|not readable|expected)")

    @pytest.mark.parametrize("change", [{"model": {"type": "Other"}}, {"model": None}])
    def test_a_tokenizer_that_is_none(self, model, change) -> None:
        stored = json.loads((model / "tokenizer.json").read_text())
        (model / "tokenizer.json").write_text(json.dumps(stored | change))
        self.refused(model, r"tokenizer\.json: not a tokenizer")

    def test_ids_with_a_gap(self, model) -> None:
        stored = json.loads((model / "tokenizer.json").read_text())
        vocabulary = stored["model"]["vocab"]
        vocabulary[max(vocabulary, key=vocabulary.__getitem__)] = 10_000
        (model / "tokenizer.json").write_text(json.dumps(stored))
        self.refused(model, "token 10000 of 400: expected the ids 0 to 399")

    def test_modules_behind(self, model) -> None:
        add_modules(model, "StaticEmbedding", "Dense")
        self.refused(model, "modules StaticEmbedding, Dense: supported behind StaticEmbedding")

    def test_half_precision(self, model) -> None:
        self.refused(model, "half precision is for encoders", half=True)

    def test_a_prompt_that_is_not_there(self, model) -> None:
        self.refused(model, "no prompt 'query'; it has none", prompt="query")
