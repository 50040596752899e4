"""Where a model runs: never a silent fall back, and an error that says what to install."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import onnxruntime
import pytest

import hypernova
from hypernova import errors
from hypernova.embedder import Embedder

HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
no_cuda = pytest.mark.skipif(HAS_CUDA, reason="this onnxruntime has CUDA")


@no_cuda
def test_cuda_is_refused_with_what_to_install() -> None:
    with pytest.raises(errors.MissingExtraError, match=r"hypernova-router\[cuda\].*device='cpu'"):
        Embedder.load("static", device="cuda")


@no_cuda
def test_a_router_says_so_when_the_embedder_is_loaded() -> None:
    router = hypernova.Router.open(device="cuda")
    with pytest.raises(errors.MissingExtraError, match="onnxruntime-gpu"):
        router.route("Sort a list")


@no_cuda
def test_auto_is_the_processor_where_there_is_nothing_else() -> None:
    found = Embedder.load("static", device="auto").embed_one("Sort a list")
    np.testing.assert_array_equal(found, Embedder.load("static").embed_one("Sort a list"))


@no_cuda
def test_the_command_line_says_it_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hypernova.cli", "route", "--device", "cuda", "Sort a list"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "hypernova-router[cuda]" in done.stderr


@pytest.mark.skipif(not HAS_CUDA, reason="NOT compared with a GPU: onnxruntime has no CUDA here")
@pytest.mark.parametrize("name", ["static", "minilm"])
def test_a_gpu_gives_the_vectors_of_the_processor(name: str) -> None:
    texts = [f"Sort list {i} by {'name ' * i}" for i in range(40)]
    cpu = Embedder.load(name).embed(texts)
    gpu = Embedder.load(name, device="cuda").embed(texts)
    assert (cpu * gpu).sum(axis=1).min() >= 0.9999


@pytest.mark.parametrize("device", ["gpu", "", "CUDA", None])
def test_unknown_devices_are_refused(device: Any) -> None:
    with pytest.raises(ValueError, match="expected 'cpu', 'cuda' or 'auto'"):
        hypernova.Router.open(device=device)


def test_an_open_embedder_has_its_own_device() -> None:
    with pytest.raises(ValueError, match="open already"):
        hypernova.Router.open(embedder=Embedder.load("static"), device="auto")
