"""`hypernova inspect` in real processes: the heat map in a terminal, words, prompts, JSON.

Not here: how words are found (test_describe.py).
"""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import hypernova
from hypernova.artifact.metadata import words_of
from hypernova.artifact.profile import ModelColumns, rebuild
from hypernova.cli.summary import heat_map, print_summary
from hypernova.router import BUNDLED_ARTIFACT
from hypernova.training.clustering.describe import one_line
from hypernova.training.trainer import learn
from support.commands import fails_in_one_line, output_in_terminal, run
from support.paths import TABLE

ESCAPE = "\x1b"


def rows(text: str) -> dict[str, list[tuple[bool, float, float]]]:
    """Cells of the printed table by cluster: chosen, success and error in per cent."""
    found = {}
    for line in text.splitlines():
        if "±" in line and not line.startswith("success"):
            cells = re.findall(r"(\*?) *(\d+\.\d)±(\d+\.\d)", line)
            found[line.split()[0]] = [(mark == "*", float(s), float(e)) for mark, s, e in cells]
    return found


def shown_models(text: str) -> list[str]:
    legend = [line for line in text.splitlines() if re.match(r"  [A-Z]  ", line)]
    return [re.sub(r" \([^()]*(default|chosen)[^()]*\)$", "", line[5:]) for line in legend]


def estimates(artifact: hypernova.Artifact, vector: np.ndarray) -> np.ndarray:
    """Success of each model for a vector, from FORMAT.md's *Meaning*."""
    squared = ((artifact.centroids.astype(float) - vector) ** 2).sum(axis=1)
    nearest = np.argsort(squared, kind="stable")[: artifact.n_nearest or 1]
    weights = np.exp(-0.5 * (artifact.sharpness or 0.0) * (squared[nearest] - squared.min()))
    found = weights / weights.sum() @ artifact.success[nearest].astype(float)
    if artifact.slopes is not None:
        found = found + artifact.offsets + artifact.slopes.astype(float) @ vector
    return np.clip(found, 0.0, 1.0)


class TestHeatMap:
    @pytest.mark.slow
    @pytest.mark.parametrize("bundled", [True, False])
    def test_the_numbers_are_those_of_the_artifact(self, fitted, bundled) -> None:
        path = BUNDLED_ARTIFACT if bundled else fitted
        artifact = hypernova.Artifact.open(path)
        text = run("inspect", path).stdout
        lines = text.splitlines()
        first = next(i for i, line in enumerate(lines) if line.startswith("success in %"))
        assert max(map(len, lines[first:])) <= 80
        models = [artifact.models.index(name) for name in shown_models(text)]
        assert len(models) == min(5, len(artifact.models))
        table = rows(text)
        assert list(table) == [*map(str, range(artifact.n_clusters)), "all"]
        taken = artifact.decide_many(artifact.centroids).model_indices
        for number, cells in enumerate(table.values()):
            assert len(cells) == len(models)
            estimated = artifact.success[-1]
            if number < artifact.n_clusters:
                estimated = estimates(artifact, artifact.centroids[number])
            for (mark, success, error), model in zip(cells, models, strict=True):
                assert success == pytest.approx(100 * estimated[model], abs=0.051)
                expected = 100 * artifact.standard_error[number, model]
                assert error == pytest.approx(expected, abs=0.051)
                assert mark == (number < artifact.n_clusters and taken[number] == model)

    def test_taken_models_come_first_and_the_rest_is_counted(self) -> None:
        text = run("inspect", BUNDLED_ARTIFACT).stdout
        artifact = hypernova.Artifact.open(BUNDLED_ARTIFACT)
        taken = {decision.model for decision in artifact.decide_many(artifact.centroids)}
        assert set(shown_models(text)[: len(taken)]) == taken
        assert f"and {len(artifact.models) - 5} more models (--json)" in text

    def test_each_n_where_they_differ(self) -> None:
        rng = np.random.default_rng(1)
        score = rng.random((60, 3))
        score[:40, 1] = np.nan
        vectors = rng.normal(size=(60, 6)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        table = hypernova.OutcomeTable.from_arrays(
            task_ids=[str(i) for i in range(60)],
            prompts=[f"prompt {i}" for i in range(60)],
            models=["a", "b", "c"],
            score=score,
            embedding=vectors,
        )
        learned = learn(table, vectors, clusters=2)
        artifact = learned.artifact(metadata={"words": [["\x1b[31mred"], "no list"]})
        assert words_of(artifact) is None  # not what hypernova writes
        lines = heat_map(artifact, colour=False)
        letters = {line[5]: line[2] for line in lines if re.match(r"  [A-C]  ", line)}
        order = sorted(letters, key=lambda name: letters[name])
        last = next(i for i, line in enumerate(lines) if line.startswith("    all"))
        assert re.findall(r"n (\d+)", lines[last + 1]) == [
            {"a": "60", "b": "20", "c": "60"}[name] for name in order
        ]

    @pytest.mark.slow
    def test_what_else_makes_an_estimate_is_said(self, fitted) -> None:
        old = hypernova.Artifact.open(fitted)
        m, dim = len(old.models), old.dim
        built = hypernova.Artifact.build(
            models=old.models, centroids=old.centroids, counts=old.counts, mean=old.mean,
            success=old.success, standard_error=old.standard_error, gain_error=old.gain_error,
            cost=old.cost, latency=old.latency, novelty=old.novelty_quantiles,
            embedder=old.embedder, metadata=old.metadata, default_model=0, sharpness=4.0,
            n_nearest=3, slopes=np.zeros((m, dim), np.float32), offsets=np.zeros(m, np.float32),
        )  # fmt: skip
        said = "a prompt gets the average of its 3 nearest clusters"
        assert f"{said}, plus a linear correction" in heat_map(built, colour=False)
        assert said not in " ".join(heat_map(old, colour=False))

    def test_a_margin_is_said(self, capsys) -> None:
        artifact = hypernova.Router.open().artifact
        print_summary(artifact.replace(margin=0.025))
        said = "margin                    a gain in success counts beyond 2.5 points"
        assert said in capsys.readouterr().out
        print_summary(artifact.replace(margin=0.0))
        assert "a gain in success" not in capsys.readouterr().out

    @pytest.mark.slow
    def test_colour_in_a_terminal_only(self, fitted) -> None:
        assert ESCAPE not in run("inspect", fitted).stdout
        coloured = output_in_terminal("inspect", fitted)
        assert "48;5;" in coloured
        assert ESCAPE not in output_in_terminal("inspect", fitted, NO_COLOR="1")
        plain = re.sub(r"\x1b\[[\d;]*m", "", coloured).replace("\r\n", "\n")
        assert [line.rstrip() for line in plain.splitlines()] == run(
            "inspect", fitted
        ).stdout.splitlines()


class TestDescriptions:
    @pytest.mark.slow
    def test_words_of_the_artifact(self, fitted) -> None:
        notes = hypernova.Artifact.open(fitted).metadata
        text = run("inspect", fitted).stdout
        assert "distinctive words\n" in text
        for cluster, words in enumerate(notes["words"]):
            assert f"{cluster:4d}  {' '.join(words)}" in text
        assert "the artifact holds no distinctive words" in run("inspect", BUNDLED_ARTIFACT).stdout

    @pytest.mark.slow
    def test_prompts_of_a_table(self, fitted) -> None:
        text = run("inspect", fitted, "--data", TABLE).stdout
        prompts = hypernova.OutcomeTable.read(TABLE).prompts
        lines = [line.strip()[2:] for line in text.splitlines() if line.startswith("      - ")]
        assert 4 <= len(lines) <= 12
        by_line = {one_line(prompt, 72): prompt for prompt in prompts}
        router = hypernova.Router.open(fitted)
        cluster = -1
        for line in text[text.index("distinctive words") :].splitlines()[1:]:
            if line.startswith("      - "):
                assert router.route(by_line[line[8:]]).cluster == cluster
            else:
                cluster = int(line.split()[0])
        assert cluster == 3
        words = hypernova.Artifact.open(fitted).metadata["words"]
        assert " ".join(words[0]) in text

    @pytest.mark.slow
    def test_json_holds_profile_and_descriptions(self, fitted) -> None:
        artifact = hypernova.Artifact.open(fitted)
        plain = json.loads(run("inspect", fitted, "--json").stdout)
        words = artifact.metadata["words"]
        assert [row["words"] for row in plain["descriptions"]] == words
        decided = [decision.model for decision in artifact.decide_many(artifact.centroids)]
        assert [row["model"] for row in plain["descriptions"]] == decided
        assert all(row["prompts"] is None for row in plain["descriptions"])
        full = json.loads(run("inspect", fitted, "--json", "--data", TABLE).stdout)
        assert all(row["prompts"] for row in full["descriptions"])
        assert full["profiles"] == plain["profiles"]
        bundled = json.loads(run("inspect", BUNDLED_ARTIFACT, "--json").stdout)
        assert [row["words"] for row in bundled["descriptions"]] == [None] * bundled["clusters"]

    @pytest.mark.slow
    def test_a_table_that_does_not_fit(self, fitted, tmp_path) -> None:
        assert "no-such" in fails_in_one_line(
            "inspect", fitted, "--data", tmp_path / "no-such.jsonl"
        )
        rng = np.random.default_rng(0)
        own = hypernova.OutcomeTable.from_arrays(
            task_ids=[str(i) for i in range(40)],
            prompts=[f"prompt {i}" for i in range(40)],
            models=["a", "b"],
            score=rng.random((40, 2)),
            embedding=rng.normal(size=(40, 5)),
        )
        path = tmp_path / "vectors.hnv"
        hypernova.fit(own, clusters=2).save(path)
        assert "5 dimensions" in fails_in_one_line("inspect", path, "--data", TABLE)


@pytest.mark.slow
@pytest.mark.parametrize(
    "metadata",
    [
        {"in_sample": 5},
        {"in_sample": {}, "selection": [], "target": {"accuracy": "x"}},
        {"changes": 5},
        {"changes": [5, None, {"what": "add_model"}, {"what": "add_model", "models": [3]}]},
        {"changes": [{"what": "rename_model", "model": "a\x1b[31m", "to": "b\nc"}]},
        {"recalibration": {"outcomes": "x\n\x1b[31m"}},
        {"words": [1], "changes": None},
        {"in_sample": {"accuracy": float("nan")}},
    ],
    ids=str,
)
def test_metadata_that_another_program_wrote_end_nothing(metadata, fitted, tmp_path) -> None:
    artifact = hypernova.Artifact.open(fitted)
    odd = rebuild(
        artifact, list(artifact.models), ModelColumns.of(artifact), artifact.default_model, metadata
    )
    odd.save(tmp_path / "odd.hnv")
    done = run("inspect", tmp_path / "odd.hnv")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert ESCAPE not in done.stdout
    assert done.stdout.startswith("4 clusters, 5 models, default simulated-large")
    if "in_sample" in metadata:
        assert "form that this version cannot read" in done.stdout
