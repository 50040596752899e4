"""Learning from tables that are not held in memory: the same artifact, however it is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypernova
from hypernova.embedder import CallableEmbedder
from hypernova.errors import EmbedderError, TableError
from hypernova.training.sample import draw_sample, hash_prompts, sample_rows
from support.pieces import SAMPLED, TASKS, evaluated, fitted, small_sample, write_table

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, Path]:
    """One table in several layouts, each under the same name."""
    layouts = {
        "nested": {"layout": "nested", "files": 5, "row_group": 3000},
        "one file": {"layout": "nested", "files": 1},
        "apart": {"layout": "apart", "files": 3},
    }
    return {
        name: write_table(tmp_path_factory.mktemp("layout") / "table", **layout)
        for name, layout in layouts.items()
    }


class TestFit:
    @pytest.mark.slow
    def test_bytes_depend_on_no_layout_no_pieces_and_no_number_of_processes(self, tables) -> None:
        first = fitted(tables["nested"], jobs=1)
        assert fitted(tables["one file"], jobs=2) == first
        assert fitted(tables["apart"], jobs=2) == first
        assert fitted(tables["nested"], scan=False, jobs=2) == first

    def test_estimates_are_those_of_all_tasks(self, tables) -> None:
        artifact = hypernova.Artifact.from_bytes(fitted(tables["nested"], jobs=1))
        table = hypernova.OutcomeTable.scan(tables["nested"]).read()
        assert artifact.metadata["tasks"] == TASKS
        assert artifact.metadata["sample"]["tasks"] == SAMPLED
        assert sum(artifact.metadata["cluster_sizes"]) == TASKS
        np.testing.assert_array_equal(artifact.counts[-1], (~np.isnan(table.score)).sum(axis=0))
        np.testing.assert_allclose(artifact.mean[-1], np.nanmean(table.score, axis=0), rtol=1e-6)
        np.testing.assert_allclose(artifact.cost[-1], np.nanmean(table.cost_usd, axis=0), rtol=1e-6)
        # Each cluster has the mean of its own tasks: those of a group.
        assert artifact.metadata["setting"]["source"] == "groups"
        groups = np.array(table.groups)
        for cluster, group in enumerate(sorted(set(table.groups))):
            own = np.nanmean(table.score[groups == group], axis=0)
            np.testing.assert_allclose(artifact.mean[cluster], own, rtol=1e-5)

    @pytest.mark.slow
    def test_texts_are_embedded_where_they_are_summed_up(self, tmp_path) -> None:
        folder = write_table(tmp_path / "texts", tasks=9_000, dim=None, files=2)
        first = fitted(folder, jobs=1)
        assert fitted(folder, jobs=2) == first

    def test_a_small_table_is_as_one_in_memory(self, tmp_path) -> None:
        folder = write_table(tmp_path / "small", tasks=400, files=3)
        scanned = hypernova.OutcomeTable.scan(folder)
        whole = hypernova.fit(scanned.read())
        assert hypernova.fit(scanned).to_bytes() == whole.to_bytes()
        assert "sample" not in whole.metadata

    def test_a_file_that_is_cut_short_meanwhile_is_one_line(self, tmp_path) -> None:
        folder = write_table(tmp_path / "table", files=5)
        table = hypernova.OutcomeTable.scan(folder)
        path = sorted(folder.iterdir())[-1]
        path.write_bytes(path.read_bytes()[:-100])
        with small_sample(), pytest.raises(TableError, match=path.name) as caught:
            hypernova.fit(table, jobs=2)
        assert "\n" not in str(caught.value)

    def test_the_text_on_which_an_embedder_fails_is_named(self, tmp_path) -> None:
        folder = write_table(tmp_path / "texts", tasks=9_000, dim=None, files=2)
        table = hypernova.OutcomeTable.scan(folder)
        with small_sample():
            sampled = set(draw_sample(table, 0).table.task_ids)
        whole = table.read()
        bad = next(i for i in range(8_500, 9_000) if whole.task_ids[i] not in sampled)
        bad_prompt = whole.prompts[bad]

        def embed(texts: list[str]) -> np.ndarray:
            rows = np.array([[len(t), t.count("a"), t.count("e")] for t in texts], float)
            rows[[t == bad_prompt for t in texts]] = np.nan
            return rows

        embedder = CallableEmbedder(embed, name="letters", dim=3)
        with small_sample(), pytest.raises(EmbedderError, match=f"text {bad:,}|text {bad}"):
            hypernova.fit(table, embedder=embedder, jobs=2)


class TestVectors:
    def test_the_second_run_embeds_nothing(self, tmp_path) -> None:
        """Nor does an evaluation of the same prompts; the artifact is the same."""
        folder = write_table(tmp_path / "texts", tasks=500, dim=None, files=2)
        table = hypernova.OutcomeTable.scan(folder)
        calls: list[int] = []

        def embed(texts: list[str]) -> np.ndarray:
            calls.append(len(texts))
            return np.array([[len(t), t.count("a"), t.count("e")] for t in texts], float)

        embedder = CallableEmbedder(embed, name="letters", dim=3)
        first = hypernova.fit(table, embedder=embedder, vectors=tmp_path / "vectors")
        assert sum(calls) == len(set(table.read().prompts))
        calls.clear()
        second = hypernova.fit(table, embedder=embedder, vectors=tmp_path / "vectors")
        quick = {"folds": 2, "repeats": 1, "jobs": 1, "learning_curve": False}
        hypernova.evaluate(table, embedder=embedder, vectors=tmp_path / "vectors", **quick)
        assert calls == []
        assert second.to_bytes() == first.to_bytes()


class TestEvaluate:
    @pytest.mark.slow
    def test_a_sample_is_evaluated_and_a_note_says_so(self, tables) -> None:
        report = json.loads(evaluated(tables["nested"], jobs=1))
        assert report["dataset"]["tasks"] == 500
        assert "sample of 500 of the table's 20,000 tasks" in report["notes"][0]
        assert evaluated(tables["one file"], jobs=2) == json.dumps(report)


class TestSample:
    def test_equal_prompts_are_drawn_together(self) -> None:
        prompts = [f"prompt {i % 400}" for i in range(2_000)]
        rows = sample_rows(hash_prompts(prompts, 3), 502)
        drawn = [prompts[row] for row in rows]
        assert len(rows) == 502
        assert np.all(np.diff(rows) > 0)
        # The last prompt alone may be cut.
        assert sum(drawn.count(prompt) < 5 for prompt in set(drawn)) == 1

    def test_another_seed_draws_others(self) -> None:
        prompts = [f"prompt {i}" for i in range(1_000)]
        first, second = (sample_rows(hash_prompts(prompts, seed), 500) for seed in (0, 1))
        assert 200 < len(np.intersect1d(first, second)) < 300

    def test_of_chunks_it_is_that_of_the_whole(self, tables) -> None:
        table = hypernova.OutcomeTable.scan(tables["nested"])
        whole = table.read()
        drawn = draw_sample(table, 5, 2_500)
        rows = sample_rows(hash_prompts(whole.prompts, 5), 2_500)
        assert drawn.table.task_ids == tuple(whole.task_ids[row] for row in rows)
        assert np.array_equal(drawn.table.score, whole.score[rows], equal_nan=True)
        assert drawn.different_prompts == len(set(whole.prompts))
        assert not drawn.whole
