"""The package with NumPy alone, and what it says where an extra is needed.

Each test runs processes of a real environment without the libraries: one of links to what is
installed here, or, in `make test-wheel`, that of HYPERNOVA_BASE, in which pip has installed the
wheel and what it depends on. Not here: errors of those who have the extra (``test_device``).
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

import hypernova
from support.environments import NUMPY, environment, run_in
from support.paths import EXAMPLES, ROOT, TABLE

COMMAND = 'pip install "hypernova-router[onnx]"'
NEEDED = (
    "the embedder 'minilm' needs onnxruntime and tokenizers (model.onnx is no lookup), which are "
    f"not installed: {COMMAND}"
)
PROMPT = "Prove that the sum of two odd numbers is even"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with hypernova and NumPy, and nothing else."""
    if installed := os.environ.get("HYPERNOVA_BASE"):
        return Path(installed)
    return environment(tmp_path_factory.mktemp("base") / "venv", only=NUMPY)


@pytest.fixture(scope="module")
def other_extras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with all that is installed here but the libraries of the extra."""
    folder = tmp_path_factory.mktemp("others") / "venv"
    return environment(folder, without=frozenset({"onnxruntime", "tokenizers"}))


@pytest.fixture(scope="module")
def without_tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with all but tokenizers: onnxruntime comes with other packages, too."""
    folder = tmp_path_factory.mktemp("alone") / "venv"
    return environment(folder, without=frozenset({"tokenizers"}))


@pytest.fixture(scope="module")
def of_minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of the embedder `minilm`, which some other machine has fitted."""
    table = tmp_path_factory.mktemp("minilm") / "few.jsonl"
    table.write_text("".join(TABLE.read_text().splitlines(keepends=True)[::8]))
    path = table.with_name("minilm.hnv")
    hypernova.fit(hypernova.OutcomeTable.read(table), embedder="minilm").save(path)
    return path


def refused(python: Path, *arguments: object, **options) -> str:
    """Run ``hypernova`` where it must fail: the one line that it writes."""
    done = run_in(python, "-m", "hypernova.cli", *arguments, **options)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr.removeprefix("hypernova: ").strip()


def printed(python: Path, program: str, *arguments: object, **options) -> list[str]:
    """The lines that a program prints, which must come to its end without a word of warning."""
    done = run_in(python, "-c", program, *arguments, **options)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.splitlines()


def test_the_package_requires_numpy_alone() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.match(r"[\w-]+", one)[0] for one in project["dependencies"]]
    assert set(names) == {"numpy"}


def test_the_libraries_are_not_there(base: Path, other_extras: Path) -> None:
    program = "import sys, importlib.util as u; print([n for n in sys.argv[1:] if u.find_spec(n)])"
    names = ["hypernova", "numpy", "onnxruntime", "tokenizers", "faiss", "pyarrow", "tqdm"]
    assert printed(base, program, *names) == ["['hypernova', 'numpy']"]
    names = ["hypernova", "onnxruntime", "tokenizers", "faiss", "fastapi"]
    assert printed(other_extras, program, *names) == ["['hypernova', 'faiss', 'fastapi']"]


@pytest.mark.slow
def test_from_a_table_to_decisions(base: Path, tmp_path: Path) -> None:
    """Fit by groups, inspect, compare, and route texts and a conversation."""
    router, prompts = tmp_path / "router.hnv", EXAMPLES / "prompts.jsonl"
    for arguments in (
        ("fit", TABLE, "-o", router),
        ("inspect", router, "--data", TABLE),
        ("route", "--artifact", router, "--explain", PROMPT),
        ("diff", "--prompts", prompts, router, router),
    ):
        done = run_in(base, "-m", "hypernova.cli", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), done
    program = (
        "import asyncio, sys, hypernova; router = hypernova.Router.open(sys.argv[1])\n"
        "ask = [{'role': 'user', 'content': sys.argv[2]}]\n"
        "print(router.route(sys.argv[2]).model); print(router.route(messages=ask).model)\n"
        "print(router.route_many([sys.argv[2]])[0].model)\n"
        "print(asyncio.run(router.aroute(sys.argv[2])).model)\n"
        "print(router.explain(sys.argv[2]).decision.model)"
    )
    here = hypernova.Router.open(router).route(PROMPT).model
    assert printed(base, program, router, PROMPT) == [here] * 5


@pytest.mark.parametrize(
    "arguments",
    [
        ("route", "--artifact", "MINILM", PROMPT),
        ("route", "--embedder", "minilm", PROMPT),
        ("fit", TABLE, "-o", "new.hnv", "--embedder", "minilm"),
        ("inspect", "MINILM", "--data", TABLE),
        ("diff", "--prompts", EXAMPLES / "prompts.jsonl", "MINILM", "MINILM"),
        ("next-prompts", "MINILM", EXAMPLES / "prompts.jsonl", "-o", "next.jsonl"),
        ("add-model", "-o", "new.hnv", "MINILM", "ONE"),
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[1]}" if len(arguments) else "",
)
def test_a_command_says_what_to_install(
    base: Path, of_minilm: Path, tmp_path: Path, arguments: tuple[object, ...]
) -> None:
    one = tmp_path / "one.csv"
    one.write_text(f"task_id,prompt,model,score\na,{PROMPT},new,1\nb,Sort a list,new,0\n")
    before = sorted(tmp_path.iterdir())
    given = {"MINILM": of_minilm, "ONE": one}
    words = [given.get(word, word) if isinstance(word, str) else word for word in arguments]
    assert NEEDED in refused(base, *words, cwd=tmp_path)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", TABLE),
        ("fit", TABLE, "-o", "new.hnv", "--clusters", 4),
        ("fit", "NO GROUPS", "-o", "new.hnv"),
    ],
    ids=["evaluate", "clusters", "no groups"],
)
def test_clusters_are_refused_before_prompts_are_embedded(
    base: Path, tmp_path: Path, arguments: tuple[object, ...]
) -> None:
    plain = tmp_path / "plain.jsonl"
    rows = [json.loads(line) for line in TABLE.read_text(encoding="utf-8").splitlines()]
    plain.write_text("".join(json.dumps(row | {"group": None}) + "\n" for row in rows))
    words = [plain if word == "NO GROUPS" else word for word in arguments]
    # Vectors are kept as soon as they are made; here is not so much as their folder.
    said = refused(base, *words, "--vectors", "vectors", cwd=tmp_path)
    assert said == 'clustering needs faiss: pip install "hypernova-router[train]"'
    assert [path.name for path in tmp_path.iterdir()] == ["plain.jsonl"]


def test_the_server_does_not_start(other_extras: Path, of_minilm: Path) -> None:
    assert NEEDED in refused(other_extras, "serve", "--artifact", of_minilm, "--port", 0)


@pytest.mark.parametrize(
    ("load", "why", "extra"),
    [
        ("Embedder.load('static', runtime='onnxruntime')", "runtime is 'onnxruntime'", "onnx"),
        ("Embedder.load('static', device='cuda')", "device is 'cuda'", "cuda"),
        ("Embedder.load('minilm', device='auto')", "model.onnx is no lookup", "onnx"),
        ("hypernova.fit(table, embedder='minilm')", "model.onnx is no lookup", "onnx"),
        ("hypernova.fit(table, device='cuda')", "device is 'cuda'", "cuda"),
        ("hypernova.Router.open(embedder='minilm')", "model.onnx is no lookup", "onnx"),
        ("hypernova.Router.open(path).warm_up()", "model.onnx is no lookup", "onnx"),
        ("hypernova.Router.open(path).route('Sort')", "model.onnx is no lookup", "onnx"),
        ("hypernova.Router.open(path).explain('Sort')", "model.onnx is no lookup", "onnx"),
    ],
)
def test_a_call_says_what_to_install(
    base: Path, of_minilm: Path, load: str, why: str, extra: str
) -> None:
    program = (
        "import sys, hypernova; from hypernova import Embedder\n"
        "table, path = hypernova.OutcomeTable.read(sys.argv[1]), sys.argv[2]\n"
        f"try: {load}\nexcept hypernova.errors.MissingExtraError as error: print(error)"
    )
    (line,) = printed(base, program, TABLE, of_minilm)
    assert f"needs onnxruntime and tokenizers ({why}), which are not installed: " in line
    assert line.endswith(f'pip install "hypernova-router[{extra}]"')


def test_vectors_are_routed_without_the_embedder(base: Path, of_minilm: Path) -> None:
    program = (
        "import sys, array, hypernova; router = hypernova.Router.open(sys.argv[1])\n"
        "vector = array.array('f', [1.0] + [0.0] * 383); print(router.decide(vector).model)"
    )
    (model,) = printed(base, program, of_minilm)
    assert model in hypernova.Artifact.open(of_minilm).models


@pytest.mark.parametrize("loaded", [True, False])
def test_a_reload_is_refused_and_the_router_goes_on(
    base: Path, of_minilm: Path, loaded: bool
) -> None:
    program = (
        "import shutil, sys, hypernova, logging; logging.disable()\n"
        "from hypernova.router import BUNDLED_ARTIFACT\n"
        "shutil.copy(BUNDLED_ARTIFACT, 'router.hnv')\n"
        "router = hypernova.Router.open('router.hnv')\n"
        f"if {loaded}: router.warm_up()\n"
        "shutil.copy(sys.argv[1], 'new.hnv'); import os; os.replace('new.hnv', 'router.hnv')\n"
        "try: router.reload()\n"
        "except hypernova.errors.MissingExtraError as error: print(error)\n"
        "print(router.route('Sort a list').model == router.artifact.models[router.artifact.models"
        ".index(router.route('Sort a list').model)])"
    )
    lines = printed(base, program, of_minilm, cwd=of_minilm.parent)
    assert lines == [NEEDED, "True"]


class TestWithoutTokenizersAlone:
    """Where one library is missing, it is the one that is named."""

    def test_minilm(self, without_tokenizers: Path) -> None:
        said = refused(without_tokenizers, "route", "--embedder", "minilm", PROMPT)
        assert (
            f"needs tokenizers (model.onnx is no lookup), which is not installed: {COMMAND}" in said
        )

    def test_export(self, without_tokenizers: Path, tmp_path: Path) -> None:
        said = refused(without_tokenizers, "export-embedder", tmp_path, "-o", tmp_path / "out")
        assert said == 'export-embedder needs tokenizers: pip install "hypernova-router[export]"'

    def test_spans_of_a_lookup_with_a_limit(self, without_tokenizers: Path, tmp_path: Path) -> None:
        """The core routes with it; where its tokens stand is known to tokenizers alone."""
        bundled = hypernova.embedder.bundled_embedders()["static"]
        for file in bundled.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        settings = json.loads((tmp_path / "embedder.json").read_text())
        (tmp_path / "embedder.json").write_text(json.dumps(settings | {"max_tokens": 64}))
        program = (
            "import sys, hypernova; embedder = hypernova.Embedder.load(sys.argv[1])\n"
            "print(embedder.runtime, embedder.embed_one('Sort a list').shape)\n"
            "try: embedder.read_spans('Sort a list')\n"
            "except hypernova.errors.MissingExtraError as error: print(error)"
        )
        lines = printed(without_tokenizers, program, tmp_path)
        assert lines == ["core (512,)", f"tokenizers is not installed: {COMMAND}"]
