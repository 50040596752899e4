"""`hypernova.diff` at prompts and at centroids, held against deciding one by one and counting."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter

import numpy as np
import pytest

import hypernova
from hypernova.artifact.decisions import NO_LIMITS
from hypernova.errors import (
    ArtifactError,
    EmbedderMismatchError,
    NoCandidateError,
    PolicyError,
    TableError,
    UnknownModelError,
)
from support.factories import fitted, make_table
from support.paths import TABLE

LIMITS = {"allow", "deny", "max_cost_usd", "min_success"}


def known_to(artifact: hypernova.Artifact, options: dict) -> dict:
    """The part of options that concerns an artifact's models, by the plainest means."""
    own = dict(options)
    for name in {"allow", "deny"} & {*own}:
        own[name] = [model for model in own[name] if model in artifact.models]
    if "prices" in own:
        own["prices"] = {m: p for m, p in own["prices"].items() if m in artifact.models}
    return own


def chosen(router: hypernova.Router, text: str, options: dict) -> str | None:
    try:
        return router.route(text, **known_to(router.artifact, options)).model
    except NoCandidateError:
        return None


def estimate(router: hypernova.Router, text: str, model: str | None, options: dict):
    free = {key: value for key, value in options.items() if key not in LIMITS}
    ranking = router.route(text, **{**known_to(router.artifact, free), **NO_LIMITS}).ranking
    return next(((e.success, e.cost_usd, e.latency_s) for e in ranking if e.model == model), None)


def one_by_one(old, new, texts: list[str], options: dict):
    """The moves, and by view and quantity the mean before, the mean after and the share known."""
    routers = hypernova.Router(old), hypernova.Router(new)
    pairs = [tuple(chosen(router, text, options) for router in routers) for text in texts]
    means = {}
    for source, router in zip(("old", "new"), routers, strict=True):
        both = [
            [estimate(router, text, model, options) for model in pair]
            for text, pair in zip(texts, pairs, strict=True)
        ]
        for at, quantity in enumerate(("success", "cost_usd", "latency_s")):
            known = [
                (before[at], after[at])
                for before, after in both
                if before and after and before[at] is not None and after[at] is not None
            ]
            if known:
                means[source, quantity] = (*np.mean(known, axis=0), len(known) / len(texts))
    return Counter((a, b) for a, b in pairs if a != b), pairs, means


OPTIONS = {
    "none": {},
    "cost weight": {"cost_weight": 0.2},
    "a limit that leaves no model for some": {"min_success": 0.78},
    "models of one artifact alone": {"deny": ["a new model", "Claude 4.5 Opus medium (20251101)"]},
    "prices": {"prices": {"a new model": 0.01, "GPT-5 mini": 0.02}, "cost_weight": 0.5},
}


class TestPrompts:
    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
    def test_it_counts_what_deciding_one_by_one_gives(self, old, new, texts, options) -> None:
        options = json.loads(json.dumps(options))
        known = {*old.models, *new.models}
        if "prices" in options:
            options["prices"] = {m: p for m, p in options["prices"].items() if m in known}
        moves, pairs, means = one_by_one(old, new, texts, options)
        found = hypernova.diff(old, new, prompts=texts, **options)
        assert {(move.old, move.new): move.n for move in found.moves} == moves
        assert [m.n for m in found.moves] == sorted((m.n for m in found.moves), reverse=True)
        assert (found.n_decisions, found.n_changed) == (len(texts), moves.total())
        assert found.share_changed == moves.total() / len(texts)
        for side, attribute in enumerate(("old", "new")):
            counts = Counter(pair[side] for pair in pairs)
            del counts[None]
            shown = {m.model: getattr(m, attribute) for m in found.models}
            assert +Counter(shown) == counts
        assert moves, "the artifacts decide alike: the test shows nothing"
        for view in found.views:
            for quantity in ("success", "cost_usd", "latency_s"):
                change = getattr(view, quantity)
                expected = means.get((view.source, quantity))
                if expected is None:
                    assert change is None
                else:
                    assert (change.before, change.after, change.share) == pytest.approx(expected)
                    assert change.change == pytest.approx(change.after - change.before)

    def test_models_that_one_artifact_lacks_are_named(self, old, new, texts) -> None:
        (added,) = {*new.models} - {*old.models}
        gone = min({*old.models} - {*new.models})
        kept = next(model for model in old.models if model in new.models)
        for options in (
            {"deny": [added, kept]}, {"allow": (added, kept, gone)}, {"previous_model": added},
            {"prices": {added: 0.01}},
        ):  # fmt: skip
            notes = hypernova.diff(old, new, prompts=texts[:2], **options).notes
            (name,) = options
            left_out = f"left out of {name} for the old artifact, which does not hold it: {added}"
            assert left_out in notes
            said = any("for the new artifact, which does not hold it" in note for note in notes)
            assert said == ("allow" in options)
        notes = hypernova.diff(old, new, prompts=texts[:2], deny=[kept]).notes
        assert not any("left out of" in note for note in notes)

    def test_kinds_are_the_clusters_of_the_old_artifact_and_add_up(self, old, new, texts) -> None:
        found = hypernova.diff(old, new, prompts=texts)
        router = hypernova.Router(old)
        clusters = Counter(router.route(text).cluster for text in texts)
        assert {kind.cluster: kind.n for kind in found.clusters} == clusters
        assert sum(kind.changed for kind in found.clusters) == found.n_changed
        assert sum(move.n for move in found.moves) == found.n_changed
        assert found.groups == ()

    def test_each_artifact_embeds_with_its_own_embedder(self, old, elsewhere, texts) -> None:
        some = texts[:3]
        moves, _, _ = one_by_one(old, elsewhere, some, {})
        found = hypernova.diff(old, elsewhere, prompts=some)
        assert {(move.old, move.new): move.n for move in found.moves} == moves
        assert found.compatibility.embedder == "bundled"
        assert found.compatibility.compatible

    def test_prompts_that_cannot_be_read_are_left_out_and_counted(self, old, new, texts) -> None:
        found = hypernova.diff(old, new, prompts=["", *texts[:3], " \n"])
        assert (found.n_decisions, found.n_skipped) == (3, 2)
        assert any("left out: 2" in note for note in found.notes)
        with pytest.raises(TableError, match="no prompt can be read: the text is empty"):
            hypernova.diff(old, new, prompts=[" "])

    @pytest.mark.parametrize("suffix", ["txt", "jsonl", "csv", "parquet"])
    def test_files_are_read_as_other_commands_read_them(
        self, old, new, texts, tmp_path, suffix
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        lines = [" ".join(text.split()) for text in texts[:9]]
        path = tmp_path / f"prompts.{suffix}"
        if suffix == "parquet":
            pq.write_table(pa.table({"prompt": lines}), path)
        else:
            rows = {
                "txt": lines,
                "jsonl": [json.dumps({"prompt": line}) for line in lines],
                "csv": ["prompt", *(json.dumps(line).replace('\\"', '""') for line in lines)],
            }
            path.write_text("\n".join(rows[suffix]) + "\n", encoding="utf-8")
        found = hypernova.diff(old, new, prompts=path)
        expected = hypernova.diff(old, new, prompts=lines)
        assert found.moves == expected.moves
        assert (found.source, expected.source) == (str(path), None)

    def test_memory_does_not_grow_with_the_number_of_prompts(self, old, new, monkeypatch) -> None:
        monkeypatch.setattr("hypernova.comparison.prompts.CHUNK_PROMPTS", 32)
        texts = [f"fix the bug number {n} in the {n % 7}th file" for n in range(256)]

        def peak(n: int) -> int:
            tracemalloc.start()
            try:
                assert hypernova.diff(old, new, prompts=texts[:n]).n_decisions == n
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        peak(32)
        # 2 pieces and 8.
        assert peak(256) < 1.2 * peak(64)


class TestOutcomes:
    def test_outcomes_of_a_table_measure_the_change(self) -> None:
        old, _ = fitted(0)
        new = old.replace(cost_weight=2.0)
        rng = np.random.default_rng(7)
        table = make_table(fitted(3)[1].embedding, rng.random((240, 4)), groups=["a", "b"] * 120)
        choices = [[a.decide(v).model for v in table.embedding] for a in (old, new)]
        column = {model: at for at, model in enumerate(table.models)}
        before, after = (
            np.array([table.score[row, column[model]] for row, model in enumerate(side)])
            for side in choices
        )
        found = hypernova.diff(old, new, prompts=table)
        (view,) = [view for view in found.views if view.source == "measured"]
        change = after - before
        half = 1.959964 * change.std(ddof=1) / np.sqrt(len(change))
        assert view.success.change == pytest.approx(change.mean())
        assert view.success.interval == pytest.approx((change.mean() - half, change.mean() + half))
        assert view.cost_usd is None
        assert {kind.group for kind in found.groups} == {"a", "b"}
        changed = Counter(
            "ab"[row % 2] for row, (a, b) in enumerate(zip(*choices, strict=True)) if a != b
        )
        assert {kind.group: kind.changed for kind in found.groups} == changed
        assert changed

    def test_holes_are_left_out_and_the_share_says_so(self) -> None:
        old, _ = fitted(0)
        new = old.replace(cost_weight=2.0)
        score = np.random.default_rng(7).random((240, 4))
        score[::3, 1:] = np.nan
        found = hypernova.diff(old, new, prompts=make_table(fitted(3)[1].embedding, score))
        measured = found.views[-1].success
        assert found.views[-1].source == "measured"
        assert 0 < measured.share < 1

    def test_groups_decide_if_they_are_named(self, old) -> None:
        new = old.replace(cost_weight=0.1)
        group = next(iter(old.groups))
        texts = [f"fix the bug number {n}" for n in range(4)]
        score = np.ones((4, 1))
        table = hypernova.OutcomeTable.from_arrays(
            task_ids=[*"abcd"], prompts=texts, models=["m"], score=score, groups=[group] * 4,
            min_models=1,
        )  # fmt: skip
        routers = hypernova.Router(old), hypernova.Router(new)
        expected = sum(
            routers[0].route(t, group=group).model != routers[1].route(t, group=group).model
            for t in texts
        )
        named = hypernova.diff(old, new, prompts=table, name_groups=True)
        assert named.n_changed == expected
        same = hypernova.diff(old, new, prompts=texts, group=group)
        assert named.views[:2] == same.views  # and by outcomes in addition
        with pytest.raises(TableError, match="no groups to name"):
            hypernova.diff(old, new, prompts=texts, name_groups=True)

    def test_the_example_table_is_taken_with_its_outcomes(self, old) -> None:
        found = hypernova.diff(old, old.replace(cost_weight=0.1), prompts=TABLE)
        assert found.n_decisions == 320
        assert len(found.groups) == 10
        assert [view.source for view in found.views] == ["old", "new", "measured"]

    def test_prompts_with_other_columns_are_no_outcome_table(self, old, new, tmp_path) -> None:
        rows = {
            "one_model": {"task_id": "1", "outcomes": {"m": 1}},
            "no_id": {"model": "m", "score": 1},
            "remark": {"outcomes": "fine"},
        }
        found = {}
        for name, columns in rows.items():
            path = tmp_path / f"{name}.jsonl"
            path.write_text(json.dumps({"prompt": "fix the bug", **columns}) + "\n")
            found[name] = hypernova.diff(old, new, prompts=path)
        assert {name: len(one.views) for name, one in found.items()} == {
            "one_model": 3, "no_id": 2, "remark": 2,
        }  # fmt: skip
        assert {one.n_decisions for one in found.values()} == {1}

    def test_a_group_that_an_artifact_does_not_hold_is_noted(self, old, new) -> None:
        found = hypernova.diff(old, new, prompts=["fix the bug"], group=next(iter(old.groups)))
        assert any("the new artifact holds none of the groups" in note for note in found.notes)
        assert not any("the old artifact holds none" in note for note in found.notes)


class TestTraining:
    def test_centroids_weigh_as_much_as_their_training_tasks(self, old, new) -> None:
        weights = old.counts[:-1].max(axis=1)
        pairs = [tuple(a.decide(c).model for a in (old, new)) for c in old.centroids]
        moves: Counter[tuple[str, str]] = Counter()
        for pair, weight in zip(pairs, weights.tolist(), strict=True):
            if pair[0] != pair[1]:
                moves[pair] += weight
        found = hypernova.diff(old, new)
        assert found.basis == "training"
        assert {(move.old, move.new): move.n for move in found.moves} == pytest.approx(moves)
        assert found.n_decisions == pytest.approx(weights.sum())
        assert "coarser" in found.notes[0]

    def test_other_embedders_are_compatible_and_not_compared(self, old, elsewhere) -> None:
        found = hypernova.diff(old, elsewhere)
        assert found.compatibility.compatible
        assert (found.basis, found.share_changed) == (None, None)
        assert found.exceeds(1.0), "a pipeline must not pass what was not compared"
        assert "cannot be told" in found.text().splitlines()[0]


class TestCompatibility:
    def test_what_differs_is_named(self, old, new) -> None:
        found = hypernova.diff(old, new.replace(cost_weight=0.25, max_cost_usd=2.0)).compatibility
        assert found.models.added == ("a new model",)
        assert set(found.models.removed) == {old.models[3], old.models[5]}
        assert len(found.models.kept) == old.n_models - 2
        assert found.groups.removed == tuple(old.groups)
        assert found.default_models == (old.default_model, new.models[0])
        assert found.policy == {"cost_weight": (0.0, 0.25), "max_cost_usd": (None, 2.0)}
        assert (found.embedder, found.reloads, found.compatible) == ("same", True, True)

    def test_reload_is_what_a_running_router_does(self, old, new, elsewhere, tmp_path) -> None:
        vectors, others = fitted(0)[0], fitted(0)[0].replace(embedder={
            "kind": "vectors", "name": "others", "dim": 16, "fingerprint": "1" * 64,
        })  # fmt: skip
        alien = old.replace(embedder={**old.embedder, "name": "alien", "fingerprint": "2" * 64})
        cases = [old, new, elsewhere, vectors, others, alien]
        for at, one in enumerate(cases):
            one.save(tmp_path / f"{at}.hnv")
        answers = set()
        for one in cases:
            for at, other in enumerate(cases):
                try:
                    hypernova.Router(one).reload(tmp_path / f"{at}.hnv")
                    taken = True
                except EmbedderMismatchError:
                    taken = False
                assert hypernova.diff(one, other).compatibility.reloads is taken
                answers.add(taken)
        assert answers == {True, False}

    def test_an_embedder_that_is_not_at_hand(self, old) -> None:
        alien = old.replace(embedder={**old.embedder, "name": "alien", "fingerprint": "2" * 64})
        found = hypernova.diff(old, alien)
        assert found.compatibility.embedder == "missing"
        assert not found.compatibility.compatible
        assert found.exceeds(1.0)
        with pytest.raises(EmbedderMismatchError, match="pass embedder="):
            hypernova.diff(old, alien, prompts=["text"])

    def test_an_embedder_that_is_given(self, old, texts) -> None:
        def embed(texts: list[str]) -> np.ndarray:
            return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)

        own = hypernova.CallableEmbedder(embed, name="lengths", dim=2)
        vectors = np.eye(2, dtype=np.float32)[[0] * old.n_clusters]
        identity = {"kind": "text", **own.identity, "fingerprint": own.fingerprint}
        here = old.replace(
            centroids=vectors, embedder=identity, slopes=None, offsets=None, group_profiles=None
        )
        found = hypernova.diff(here, here.replace(cost_weight=9.0), prompts=texts, embedder=own)
        assert found.n_decisions == len(texts)
        assert found.compatibility.embedder == "same"
        with pytest.raises(EmbedderMismatchError, match="that of neither artifact"):
            hypernova.diff(old, old.replace(cost_weight=9.0), embedder=own)

    def test_no_model_in_common_is_not_compatible(self, old) -> None:
        other = old.replace(
            models=[f"x{m}" for m in range(old.n_models)], default_model=0,
            **{name: getattr(old, name) for name in (
                "counts", "mean", "success", "standard_error", "gain_error", "cost", "latency"
            )},
        )  # fmt: skip
        found = hypernova.diff(old, other)
        assert found.compatibility.problems == ("the two have no model in common",)
        assert found.exceeds(1.0)
        assert found.share_changed == 1.0

    def test_the_same_artifact_under_another_name(self, old, texts, tmp_path) -> None:
        for name in ("one.hnv", "other.hnv"):
            old.save(tmp_path / name)
        found = hypernova.diff(tmp_path / "one.hnv", tmp_path / "other.hnv", prompts=texts)
        assert found.same_artifact
        assert found.share_changed == 0.0
        assert not found.exceeds(0.0)
        assert found.text().startswith("the same artifact twice: no decision changes\n")
        assert "one.hnv" in found.text()
        assert "other.hnv" in found.text()


class TestVectors:
    def test_artifacts_of_vectors_read_the_column_embedding(self, tmp_path) -> None:
        old, new = fitted(0)[0], fitted(1)[0]
        vectors = fitted(3)[1].embedding[:40]
        path = tmp_path / "vectors.jsonl"
        lines = [json.dumps({"embedding": [float(x) for x in row]}) + "\n" for row in vectors]
        path.write_text("".join(lines))
        expected = Counter(
            (a, b) for a, b in ((old.decide(v).model, new.decide(v).model) for v in vectors)
            if a != b
        )  # fmt: skip
        found = hypernova.diff(old, new, prompts=path)
        assert {(move.old, move.new): move.n for move in found.moves} == expected

    def test_prompts_that_not_both_can_read(self, old, tmp_path) -> None:
        vectors = fitted(0)[0]
        (tmp_path / "a.txt").write_text("a text\n")
        with pytest.raises(TableError, match="vectors are not read from a file of this format"):
            hypernova.diff(vectors, vectors, prompts=tmp_path / "a.txt")
        with pytest.raises(EmbedderMismatchError, match="take vectors only"):
            hypernova.diff(vectors, vectors, prompts=["a text"])
        with pytest.raises(EmbedderMismatchError, match="the old artifact takes vectors only"):
            hypernova.diff(vectors, old, prompts=["a text"])
        wide = vectors.replace(
            centroids=np.eye(32, dtype=np.float32)[:4], slopes=None, offsets=None,
            embedder={"kind": "vectors", "name": "w", "dim": 32, "fingerprint": "3" * 64},
        )  # fmt: skip
        with pytest.raises(EmbedderMismatchError, match="of 16 numbers and the new one of 32"):
            hypernova.diff(vectors, wide, prompts=tmp_path / "a.txt")
        assert not hypernova.diff(vectors, wide).compatibility.compatible


class TestRefusals:
    def test_options_that_make_no_sense(self, old, new) -> None:
        with pytest.raises(PolicyError, match="both given"):
            hypernova.diff(old, new, prompts=["a"], log="outcomes")
        with pytest.raises(PolicyError, match="draws models at random"):
            hypernova.diff(old, new, explore=0.1)
        with pytest.raises(UnknownModelError, match="'nobody', which neither artifact holds"):
            hypernova.diff(old, new, allow=["nobody"])
        with pytest.raises(PolicyError, match="cost_weight"):
            hypernova.diff(old, new, cost_weight=-1.0)
        with pytest.raises(TypeError, match="str"):
            hypernova.diff(old, new, prompts=[1])  # type: ignore[list-item]

    @pytest.mark.parametrize("prompts", [[], "a.txt", "a.jsonl"])
    def test_no_prompts(self, old, new, tmp_path, monkeypatch, prompts) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("a.txt", "a.jsonl"):
            (tmp_path / name).write_text("\n")
        with pytest.raises(TableError, match=r"no prompts|'prompt'|can be read"):
            hypernova.diff(old, new, prompts=prompts)

    def test_a_damaged_file(self, old, tmp_path) -> None:
        (tmp_path / "cut.hnv").write_bytes(old.to_bytes()[:-1])
        with pytest.raises(ArtifactError):
            hypernova.diff(old, tmp_path / "cut.hnv")

    @pytest.mark.parametrize("limit", [-0.1, 1.1, float("nan"), True, "0.2"])
    def test_a_limit_is_a_share(self, old, limit) -> None:
        with pytest.raises(ValueError, match="expected a share from 0 to 1"):
            hypernova.diff(old, old).exceeds(limit)
