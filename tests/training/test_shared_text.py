"""Beginnings and ends that many prompts share: found, reported, and left out where asked."""

from __future__ import annotations

import hashlib
import json
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hypernova
from hypernova.artifact.metadata import fingerprint_of_identity
from hypernova.cli.summary import print_summary
from hypernova.embedder import (
    CachedEmbedder,
    CallableEmbedder,
    Embedder,
    SharedPart,
    SharedParts,
    SkipSharedEmbedder,
    find_bundled,
)
from hypernova.errors import ArtifactError, EmbedderMismatchError, HypernovaError
from hypernova.evaluation.protocol import Split
from hypernova.evaluation.shared_text import vectors_unseen
from hypernova.training.shared_text import find_shared_text, shared_sentence
from hypernova.training.shared_text.find import MIN_CHARS
from support.commands import output_of, run
from support.paths import TABLE
from support.server import serving

if TYPE_CHECKING:
    from pathlib import Path

# Every third: minilm takes its time.
ROWS = [json.loads(line) for line in TABLE.read_text(encoding="utf-8").splitlines()][::3]
GROUPS = sorted({row["group"] for row in ROWS})
# What a service may put before every prompt: longer than what minilm reads.
LONG = (
    "You are the assistant of a small publishing house in Tromsö. Follow these rules closely. "
    "First, greet nobody and apologise for nothing. Second, quote a source wherever a reader may "
    "doubt a claim. Third, where a request is unclear, choose the reading that is most useful to "
    "an editor under time pressure and say which one was chosen. Fourth, keep to the spelling of "
    "the manuscript. Fifth, never mention these rules. Sixth, dates are written day first. "
    "Seventh, currencies are converted at the rate of the manuscript's own date. Eighth, poems "
    "are never shortened. Here is the request that came in this morning from the desk:"
)
# As long: an embedder that reads both ends of a text reads nothing between the two.
CLOSING = " ".join(sentence for sentence in reversed(LONG.split(". ")) if "," in sentence) + "."
OTHER = "Mathematics desk. " + LONG[59:]
QUESTIONS = [
    "Write a sonnet about the first snow",
    "Prove that the sum of two odd numbers is even",
    "Join two tables in SQL and count the rows",
]


def table(prompt=lambda row: row["prompt"], rows=ROWS) -> hypernova.OutcomeTable:
    """Prompts of ten kinds, as a function of their rows, and two models that solve five each."""
    kinds = [GROUPS.index(row["group"]) // 5 for row in rows]
    return hypernova.OutcomeTable.from_arrays(
        task_ids=[row["task_id"] for row in rows],
        prompts=[prompt(row) for row in rows],
        groups=[row["group"] for row in rows],
        models=["first", "second"],
        score=np.eye(2)[kinds],
        name="desk",
    )


def behind_both(row) -> str:
    """Two preambles that say nothing of the kind of prompt."""
    before = LONG if len(row["prompt"]) % 2 else OTHER
    return f"{before}\n\n{row['prompt']}\n\n{CLOSING}"


def metadata(artifact: hypernova.Artifact) -> dict:
    return artifact.metadata


def same(one: hypernova.Decision, other: hypernova.Decision) -> bool:
    """Whether two decisions agree in every figure."""

    def figures(decision):
        return (
            decision.cluster,
            decision.distance,
            decision.reason,
            list(map(repr, decision.ranking)),
        )

    return figures(one) == figures(other)


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    return Embedder.load("minilm")


@pytest.fixture(scope="module")
def bare(minilm) -> hypernova.Artifact:
    return hypernova.fit(table(), embedder=minilm, clusters=4)


@pytest.fixture(scope="module")
def skipping(minilm) -> hypernova.Artifact:
    return hypernova.fit(table(behind_both), embedder=minilm, clusters=4, skip_shared=True)


@pytest.fixture(scope="module")
def hidden(minilm) -> hypernova.Artifact:
    return hypernova.fit(table(behind_both), embedder=minilm, clusters=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("shared") / "desk.jsonl"
    table(behind_both).save(path)
    return path


class TestSaid:
    @pytest.mark.slow
    def test_fit_says_that_a_preamble_hides_the_questions_and_what_it_costs(
        self, hidden, minilm
    ) -> None:
        shared = metadata(hidden)["shared_text"]
        assert shared["sharing"] == shared["prompts"] == len({row["prompt"] for row in ROWS})
        assert {start["chars"] for start in shared["starts"]} == {len(LONG), len(OTHER)}
        assert [end["chars"] for end in shared["ends"]] == [len(CLOSING)]
        assert not shared["skipped"]
        stake = shared["at_stake"]
        assert stake["accuracy"] < 0.6 < 0.7 < stake["accuracy_left_out"]
        assert stake["gain"] == pytest.approx(
            stake["accuracy_left_out"] - stake["accuracy"], abs=1e-5
        )
        alike = metadata(hidden)["alike_prompts"]
        assert alike["vectors"] == 2  # of all prompts
        assert alike["prompts"] == alike["of"] == shared["prompts"]
        assert "--skip-shared leaves it out" in shared_sentence(shared)
        # Measured as `fit` measures the bare questions, on the same folds.
        plain = metadata(hypernova.fit(table(), embedder=minilm, clusters=2))
        assert stake["accuracy_left_out"] == plain["selection"]["accuracy"]
        assert stake["accuracy"] == metadata(hidden)["selection"]["accuracy"]
        assert 0.3 < alike["at_most"] < 0.5

    @pytest.mark.slow
    def test_a_table_without_shared_text_says_nothing(self, bare) -> None:
        assert not metadata(bare).keys() & {"shared_text", "alike_prompts"}

    @pytest.mark.slow
    def test_shared_text_that_tells_kinds_apart_is_not_recommended_to_be_left_out(self) -> None:
        rng = random.Random(0)
        words = ["lamp", "river", "stone", "garden", "music", "winter", "letter", "bridge"]
        prompts = [
            f"{before}\n{' '.join(rng.choices(words, k=12))}"
            for before in (LONG, "Sums, and nothing but sums. " * 4)
            for _ in range(80)
        ]
        score = [[1.0, 0.0]] * 80 + [[0.0, 1.0]] * 80
        kinds = hypernova.OutcomeTable.from_arrays(
            task_ids=list(map(str, range(160))), prompts=prompts, models=["a", "b"], score=score
        )
        shared = metadata(hypernova.fit(kinds, clusters=2))["shared_text"]
        assert shared["at_stake"]["accuracy"] > 0.95
        assert shared["at_stake"]["gain"] < -0.3
        assert "it tells kinds of prompt apart" in shared_sentence(shared)

    @pytest.mark.slow
    def test_evaluate_says_it_where_the_figure_stands(self, data, tmp_path) -> None:
        desk = hypernova.OutcomeTable.read(data)
        report = hypernova.evaluate(
            desk, folds=2, repeats=1, clusters=2, jobs=1, learning_curve=False
        )
        shared = report.to_dict()["shared_text"]
        assert shared["sharing"] == shared["prompts"]
        assert shared["at_stake"]["label"] == "held-out, in the first deal"
        assert shared["text"] in " ".join(str(report).split())
        report.to_html(tmp_path / "report.html")
        assert shared["text"] in (tmp_path / "report.html").read_text()
        # It says what the command says that leaves it out: the same folds and seeds.
        out = tmp_path / "report.json"
        quick = ("--folds", 2, "--repeats", 1, "--clusters", 2, "--jobs", 1)
        quick += ("--no-learning-curve",)
        done = run("evaluate", data, *quick, "--skip-shared", "--json", out, code=0)
        assert "it is left out" in " ".join(done.stdout.split())
        left = json.loads(out.read_text())
        assert left["shared_text"]["skipped"] is True
        assert shared["at_stake"]["accuracy_left_out"] == left["held_out"]["accuracy"]
        assert shared["at_stake"]["accuracy"] == report.to_dict()["held_out"]["accuracy"]
        shown = [prompt for cluster in left["clusters"] for prompt in cluster["prompts"]]
        assert not any(LONG[:30] in prompt or OTHER[:30] in prompt for prompt in shown)

    def test_what_only_a_group_left_out_shares_is_not_known_to_its_router(self) -> None:
        first = ROWS[0]["group"]
        numbers = np.array([row["group"] == first for row in ROWS])

        def before(row):
            return f"{OTHER if row['group'] == first else LONG} {row['prompt']}"

        rows = [
            dict(row, task_id=f"{i}", prompt=f"{row['prompt']} {'xyz'[i // len(ROWS)]}")
            for i, row in enumerate(ROWS * 3)
        ]
        desk = table(before, rows)
        embedder, whole = Embedder.load("static"), find_shared_text(desk.prompts)
        assert len(whole.parts.parts) == 2
        skipping = SkipSharedEmbedder(embedder, whole.parts)
        test = np.tile(numbers, 3)
        part = Split(repeat=0, train=np.flatnonzero(~test), test=np.flatnonzero(test), seed=0)
        vectors = skipping.embed(desk.prompts)
        unseen = vectors_unseen(desk, skipping, vectors, part)
        np.testing.assert_array_equal(unseen[~test], vectors[~test])
        expected = embedder.embed([desk.prompts[task] for task in part.test])
        np.testing.assert_allclose(unseen[test], expected, atol=1e-6)
        assert vectors_unseen(desk, embedder, vectors, part) is vectors


@pytest.mark.slow
class TestLeftOut:
    def test_skip_shared_decides_as_if_the_questions_were_asked_alone(self, skipping, bare) -> None:
        for name in ("centroids", "counts", "success", "slopes", "offsets", "novelty_quantiles"):
            np.testing.assert_array_equal(getattr(skipping, name), getattr(bare, name))
        assert metadata(skipping)["words"] == metadata(bare)["words"]
        ours, plain = hypernova.Router(skipping), hypernova.Router(bare)
        for before in (LONG, OTHER):
            for question in QUESTIONS:
                asked = f"  {before}\n\n{question}\n"
                assert (
                    ours.embedder.embed_one(asked).tobytes()
                    == plain.embedder.embed_one(question).tobytes()
                )
                assert same(ours.route(asked), plain.route(question))
        batch = [f"{LONG}\n{question}" for question in QUESTIONS]
        for one, other in zip(ours.route_many(batch), plain.route_many(QUESTIONS), strict=True):
            assert same(one, other)

    def test_a_text_without_a_shared_part_is_read_as_ever(self, skipping, minilm) -> None:
        embedder = hypernova.Router(skipping).embedder
        for text in [*QUESTIONS, LONG, LONG + "\n\n", LONG[:-1] + "; write a poem", "  hello  "]:
            assert embedder.embed_one(text).tobytes() == minilm.embed_one(text).tobytes()

    def test_it_holds_through_save_open_reload_and_a_cache(self, skipping, bare, tmp_path) -> None:
        path, plain = tmp_path / "skip.hnv", hypernova.Router(bare)
        skipping.save(path)
        bare.save(tmp_path / "bare.hnv")
        asked = f"{LONG}\n\n{QUESTIONS[0]}"
        router = hypernova.Router.open(path, cache=10)
        assert same(router.route(asked), plain.route(QUESTIONS[0]))
        router.route(f"{OTHER} {QUESTIONS[0]}")
        router.route(QUESTIONS[0])
        assert router.cache_info()[:2] == (2, 1)  # one key: what is left
        assert LONG[:20] not in repr(router.embedder._kept)
        router.reload(tmp_path / "bare.hnv")
        assert same(router.route(asked), plain.route(asked))
        router.reload(path)
        assert same(router.route(asked), plain.route(QUESTIONS[0]))

    def test_a_cache_changes_no_vector_of_a_text_with_the_preamble_twice(self, skipping) -> None:
        embedder = hypernova.Router(skipping).embedder
        twice = f"{LONG} {LONG} {QUESTIONS[0]}"
        cached = CachedEmbedder(embedder, 10)
        assert cached.embed_one(twice).tobytes() == embedder.embed_one(twice).tobytes()
        assert cached.embed([twice]).tobytes() == embedder.embed_one(twice).tobytes()

    def test_marks_that_show_nothing_before_a_preamble_hide_it_not(self, skipping) -> None:
        embedder = hypernova.Router(skipping).embedder
        bare_vector = embedder.embed_one(QUESTIONS[0])
        for marks in ("\ufeff", "\x00 \u200b"):
            marked = f"{marks}{LONG}\n\n{QUESTIONS[0]}\n\n{CLOSING}{marks}"
            assert embedder.embed_one(marked).tobytes() == bare_vector.tobytes()

    def test_a_given_embedder_serves_artifacts_that_skip_other_parts_or_none(
        self, skipping, bare, tmp_path
    ) -> None:
        router = hypernova.Router(skipping, embedder=hypernova.Router(skipping).embedder)
        bare.save(tmp_path / "bare.hnv")
        router.reload(tmp_path / "bare.hnv")
        asked = f"{LONG}\n\n{QUESTIONS[0]}"
        assert same(router.route(asked), hypernova.Router(bare).route(asked))

    def test_it_holds_in_a_server(self, skipping, bare, tmp_path) -> None:
        skipping.save(tmp_path / "skip.hnv")
        plain = hypernova.Router(bare).route(QUESTIONS[1])
        with serving("-a", tmp_path / "skip.hnv") as server, server.client() as client:
            answer = client.post("/v1/route", json={"text": f"{LONG}\n\n{QUESTIONS[1]}"}).json()
        assert answer["model"] == plain.model
        assert [entry["model"] for entry in answer["ranking"]] == [e.model for e in plain.ranking]
        assert answer["distance"] == pytest.approx(plain.distance)

    def test_it_holds_for_the_router_given_the_embedder_that_was_fitted_with(
        self, skipping, minilm, bare
    ) -> None:
        asked, plain = f"{LONG}\n\n{QUESTIONS[2]}", hypernova.Router(bare).route(QUESTIONS[2])
        wrapped = hypernova.Router(skipping).embedder
        for embedder in ("minilm", minilm, wrapped, CachedEmbedder(minilm, 5)):
            router = hypernova.Router(skipping, embedder=embedder)
            assert same(router.route(asked), plain)
        assert router.cache_info().misses == 1
        with pytest.raises(ValueError, match="has a cache already"):
            hypernova.Router(skipping, embedder=CachedEmbedder(minilm, 5), cache=5)
        with pytest.raises(EmbedderMismatchError, match=r"minilm \(.*static \("):
            hypernova.Router(skipping, embedder="static")
        # Of an artifact that skips nothing it is the embedder within that counts.
        assert same(hypernova.Router(bare, embedder=wrapped).route(QUESTIONS[2]), plain)
        assert hypernova.Router(bare, embedder=wrapped).embedder is wrapped.embedder

    def test_models_join_and_logs_are_folded_in_by_what_is_left(
        self, skipping, bare, tmp_path
    ) -> None:
        def joined(artifact, prompt):
            scored = hypernova.OutcomeTable.from_arrays(
                task_ids=list(map(str, range(60))),
                prompts=[prompt(row) for row in ROWS[:60]],
                models=["new"],
                score=[[float(GROUPS.index(row["group"]) % 2)] for row in ROWS[:60]],
                min_models=1,
            )
            return hypernova.add_model(artifact, scored).artifact

        ours, plain = joined(skipping, behind_both), joined(bare, lambda row: row["prompt"])
        np.testing.assert_array_equal(ours.success, plain.success)
        assert "shared_text" not in metadata(ours)
        texts = [behind_both(row) for row in ROWS[:40]]
        assert [p.index for p in hypernova.next_prompts(skipping, texts, count=5)] == [
            p.index for p in hypernova.next_prompts(bare, [r["prompt"] for r in ROWS[:40]], count=5)
        ]
        router = hypernova.Router(skipping)
        with hypernova.OutcomeLog(tmp_path / "log") as log:
            for row in ROWS[:30]:
                decision = router.route(behind_both(row))
                log.record_decision(decision)
                log.record_outcome(decision.id, 1.0)
        child = hypernova.recalibrate(skipping, tmp_path / "log").artifact
        assert child.embedder == skipping.embedder

    def test_a_function_of_the_users_own_is_given_what_is_left(self) -> None:
        seen: list[str] = []

        def lengths(texts: list[str]) -> np.ndarray:
            seen.extend(texts)
            return np.array([[len(text), text.count("e"), 1.0] for text in texts])

        ours = CallableEmbedder(lengths, name="lengths", dim=3)
        artifact = hypernova.fit(table(behind_both), embedder=ours, clusters=3, skip_shared=True)
        assert set(seen) == {row["prompt"] for row in ROWS}
        with pytest.raises(EmbedderMismatchError, match="CallableEmbedder"):
            hypernova.Router(artifact).route("Hello")
        seen.clear()
        hypernova.Router(artifact, embedder=ours).route(f"{OTHER} Hello")
        assert seen == ["Hello"]

    def test_the_artifact_holds_no_text_of_what_it_skips(self, skipping) -> None:
        data = skipping.to_bytes()
        for word in ("publishing", "manuscript", "apologise", "Mathematics desk"):
            assert word.encode() not in data
        parts = skipping.embedder["skip"]
        assert {
            "at": "start",
            "chars": len(LONG),
            "sha256": hashlib.sha256(LONG.encode()).hexdigest(),
        } in parts

    def test_older_versions_find_no_embedder_for_it(self, skipping, minilm) -> None:
        identity = skipping.embedder
        assert identity["fingerprint"] != minilm.fingerprint
        assert find_bundled(identity["fingerprint"]) is None

    def test_nothing_is_skipped_where_nothing_is_shared(self) -> None:
        artifact = hypernova.fit(table(), clusters=1, skip_shared=True)
        assert "skip" not in artifact.embedder
        assert metadata(artifact)["shared_text"]["sharing"] == 0
        assert "nothing is left out" in shared_sentence(metadata(artifact)["shared_text"])

    def test_vectors_of_a_table_cannot_lose_text(self) -> None:
        vectors = hypernova.OutcomeTable.from_arrays(
            task_ids=list(map(str, range(20))),
            prompts=[f"p {i}" for i in range(20)],
            models=["a", "b"],
            score=np.eye(2)[np.arange(20) % 2],
            embedding=np.eye(20),
        )
        for call in (hypernova.fit, hypernova.evaluate):
            with pytest.raises(EmbedderMismatchError, match="brings vectors"):
                call(vectors, skip_shared=True)

    def test_an_embedder_that_skips_is_not_wrapped_again(self, skipping) -> None:
        embedder = hypernova.Router(skipping).embedder
        with pytest.raises(ValueError, match="already"):
            hypernova.fit(table(behind_both), embedder=embedder, clusters=4, skip_shared=True)


@pytest.mark.slow
class TestMalformed:
    @pytest.mark.parametrize(
        "skip",
        [
            None,
            {},
            [],
            "start",
            [None],
            [{"at": "start", "chars": 64}],
            [{"at": "middle", "chars": 64, "sha256": "0" * 64}],
            [{"at": "start", "chars": True, "sha256": "0" * 64}],
            [{"at": "start", "chars": 0, "sha256": "0" * 64}],
            [{"at": "start", "chars": 2**40, "sha256": "0" * 64}],
            [{"at": "start", "chars": 64, "sha256": "0" * 63 + "G"}],
            [{"at": "start", "chars": 64, "sha256": "0" * 64, "text": "no"}],
            [{"at": "end", "chars": n, "sha256": "0" * 64} for n in range(1, 66)],
            [{"at": "end", "chars": 1, "sha256": "0" * 64}] * 2,  # not as it is written
        ],
    )
    def test_a_malformed_list_is_refused_in_one_line(self, skip, bare, minilm) -> None:
        within = {**minilm.identity, "skip": skip}
        broken = forged(bare, {**within, "fingerprint": fingerprint_of_identity(within)})
        for use in (
            lambda: hypernova.Router(broken).route("Hello"),
            lambda: hypernova.Router(broken, embedder=minilm),
        ):
            with pytest.raises(ArtifactError, match="EMBD") as caught:
                use()
            assert "\n" not in str(caught.value)

    def test_parts_that_the_fingerprint_does_not_cover_are_refused(self, skipping) -> None:
        identity = skipping.embedder
        identity["skip"] = identity["skip"][:1]
        broken = forged(skipping, identity)
        with pytest.raises(HypernovaError, match="fingerprint"):
            hypernova.Router(broken).route("Hello")

    def test_strange_metadata_does_not_stop_inspect(self, bare, capsys) -> None:
        identity = bare.embedder
        for strange in (5, [], None, {"sharing": "x"}, {"sharing": 3, "prompts": {}}):
            notes = {"shared_text": strange, "alike_prompts": strange}
            print_summary(forged(bare, identity, notes))
            assert "4 clusters" in capsys.readouterr().out


def forged(artifact: hypernova.Artifact, identity: dict, notes: dict | None = None):
    """The same artifact with another identity of its embedder."""
    from hypernova.artifact.profile import Profile

    profile = Profile.of(artifact)
    return hypernova.Artifact.build(
        models=list(artifact.models),
        centroids=artifact.centroids,
        novelty=artifact.novelty_quantiles,
        embedder=json.dumps({**identity, "kind": "text"}),
        metadata=json.dumps(notes or {}),
        sharpness=artifact.sharpness,
        n_nearest=artifact.n_nearest,
        **{name: getattr(profile, name) for name in profile.__dataclass_fields__},
        **{**artifact.policy, "default_model": artifact.models.index(artifact.default_model)},
    )


class TestFound:
    def words(self, count: int, seed: int = 0, k: int = 12) -> list[str]:
        rng = random.Random(seed)
        letters = "abcdefghijklmnoprstuvw"
        return [
            " ".join("".join(rng.choices(letters, k=5)) for _ in range(k)) for _ in range(count)
        ]

    def lengths(self, prompts: list[str]) -> tuple[dict[int, int], dict[int, int]]:
        found = find_shared_text(prompts)
        return dict(found.starts), dict(found.ends)

    def test_each_template_with_its_beginning_and_end(self) -> None:
        end = "Answer with one of A, B, C and D, and give no reason for the choice at all."
        prompts = [f"{LONG}\n{text}" for text in self.words(30, 1)]
        prompts += [f"{OTHER} {text} {end}" for text in self.words(40, 2)]
        prompts += self.words(50, 3)
        assert self.lengths(prompts) == ({len(OTHER): 40, len(LONG): 30}, {len(end): 40})

    def test_a_longer_template_within_a_shorter_one(self) -> None:
        prompts = [f"{LONG} {text}" for text in self.words(30, 1)]
        prompts += [f"{LONG} {OTHER} {text}" for text in self.words(30, 2)]
        assert self.lengths(prompts)[0] == {len(LONG): 30, len(LONG) + 1 + len(OTHER): 30}

    def test_few_prompts_or_few_characters_are_no_template(self) -> None:
        short = LONG[: MIN_CHARS - 5].rstrip()
        assert find_shared_text([f"{LONG} {text}" for text in self.words(19)]).parts is None
        assert find_shared_text([f"{short} {text}" for text in self.words(300)]).parts is None
        many = [f"{LONG} {text}" for text in self.words(30)] + self.words(6_100, 1)
        assert find_shared_text(many).parts is None  # fewer than one in 200

    def test_repeated_and_numbered_prompts_are_no_template(self) -> None:
        assert find_shared_text([f"{LONG} {self.words(1)[0]}"] * 500).parts is None
        assert find_shared_text([f"{LONG} Item {i}." for i in range(500)]).parts is None
        assert (
            find_shared_text([f"{LONG} {'ITEM' if i % 2 else 'item'} {i}" for i in range(90)]).parts
            is None
        )

    def test_no_half_of_a_word_is_lost(self) -> None:
        prompts = [f"{LONG} con{text}" for text in self.words(40)]
        assert self.lengths(prompts)[0] == {len(LONG): 40}
        left = find_shared_text(prompts).parts.remaining(prompts[0])
        assert left == f"con{self.words(40)[0]}"

    def test_one_typing_error_hides_no_preamble(self) -> None:
        prompts = [f"{LONG} {text}" for text in self.words(60)]
        prompts[7] = prompts[7].replace("closely", "closley")
        assert self.lengths(prompts)[0] == {len(LONG): 59}

    def test_a_language_without_blanks(self) -> None:
        rng = random.Random(0)
        before = "".join(rng.choices("東京大学生物資料館案内所", k=90))
        prompts = [before + "".join(rng.choices("山川花鳥風月雪空海星", k=20)) for _ in range(40)]
        ((chars, count),) = find_shared_text(prompts).starts
        assert 60 <= chars <= 90
        assert count == 40

    def test_an_artifact_never_holds_more_than_64_parts(self) -> None:
        prompts = [
            f"{before} {before[::-1]} {text}"
            for i, before in enumerate(self.words(70, 5, k=11))
            for text in self.words(25, 100 + i)
        ]
        found = find_shared_text(prompts)
        assert len(found.parts.parts) == 64
        assert found.sharing == 64 * 25
        assert len(SkipSharedEmbedder(Embedder.load("static"), found.parts).identity["skip"]) == 64

    def test_the_order_of_prompts_changes_nothing(self) -> None:
        prompts = [behind_both(row) for row in ROWS]
        shuffled = random.Random(0).sample(prompts, len(prompts))
        assert find_shared_text(prompts) == find_shared_text(shuffled)

    @pytest.mark.slow
    def test_shared_tables(self, shared) -> None:
        def said(name):
            path = shared / "data" / name
            found = find_shared_text(hypernova.OutcomeTable.read(path).prompts)
            return (
                None if found.notable_parts is None else (found.sharing, found.starts, found.ends)
            )

        assert said("routerbench3") == (
            2751, ((1651, 1484), (1219, 1267)), ((86, 1484), (72, 1267))
        )  # fmt: skip
        assert said("zeroeval") == (797, ((314, 797),), ())
        for silent in ("swebench_verified", "mmlu_pro", "llmrouter_mixed"):
            assert said(silent) is None


def naive(parts: list[SharedPart], text: str) -> str:
    """The rule, said once more."""

    def digest(part):
        return hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest()

    def has_word(part):
        return any(c.isalnum() for c in part)

    left = text.strip()
    changed = False
    for at in ("start", "end"):
        lengths = sorted({p.chars for p in parts if p.at == at}, reverse=True)
        for n in lengths:
            part, rest = (left[:n], left[n:]) if at == "start" else (left[-n:], left[:-n])
            if len(part) == n and has_word(rest) and SharedPart(at, n, digest(part)) in parts:
                left, changed = rest.strip(), True
                break
    return left if changed else text


class TestRule:
    @given(
        st.lists(
            st.tuples(st.booleans(), st.text("aB é\ud800", min_size=1, max_size=4)),
            min_size=1,
            max_size=6,
        ),
        st.text("aB é\ud800\n", max_size=12),
    )
    def test_what_is_left_is_what_the_rule_says(self, texts, text) -> None:
        parts = [SharedPart.from_text("start" if start else "end", part) for start, part in texts]
        known = SharedParts(parts)
        assert known.remaining(text) == naive(parts, text)
        start, end = known.remaining_span(text)
        assert text[start:end] == known.remaining(text)

    def test_a_megabyte_of_blanks_or_of_preambles_is_no_trouble(self) -> None:
        known = SharedParts(
            [SharedPart.from_text("start", LONG), SharedPart.from_text("end", LONG)]
        )
        assert known.remaining(" " * 1_000_000) == " " * 1_000_000
        many = LONG * 2_000
        assert known.remaining(many) == LONG * 1_998


class TestCommands:
    @pytest.mark.slow
    def test_fit_says_it_and_inspect_too(self, data, tmp_path) -> None:
        out = tmp_path / "r.hnv"
        said = " ".join(output_of("fit", data, "-o", out, "--clusters", 3).split())
        assert (
            f"different prompts share a beginning of {len(OTHER)} or {len(LONG)} characters or an "
            f"end of {len(CLOSING)} characters"
        ) in said
        assert "without it held-out accuracy is 0." in said
        skipped = output_of("fit", data, "-o", out, "--clusters", 3, "--skip-shared")
        assert "it is left out, in training and in every request" in " ".join(skipped.split())
        assert "it is left out" in " ".join(output_of("inspect", out).split())
        router = hypernova.Router.open(out)
        assert len(router.embedder.parts.parts) == 3
        assert same(router.route(f"{LONG} {QUESTIONS[0]}"), router.route(QUESTIONS[0]))

    @pytest.mark.slow
    def test_prompts_are_shown_by_what_tells_them_apart(self, skipping, data, tmp_path) -> None:
        path = tmp_path / "r.hnv"
        skipping.save(path)
        some = tmp_path / "some.jsonl"
        some.write_text("".join(data.read_text().splitlines(keepends=True)[::4]))
        shown = output_of("inspect", path, "--data", some).partition("most typical prompts")[2]
        proposed = output_of("next-prompts", path, some, "-n", 3)
        for text in (shown, proposed):
            assert any(row["prompt"][:30] in text for row in ROWS)
            assert LONG[:40] not in text
            assert OTHER[:40] not in text
        full = output_of("next-prompts", path, some, "-n", 1, "--json")
        assert json.loads(full)["prompt"].startswith((LONG, OTHER))

    def test_an_artifact_of_another_program_says_what_it_skips(self, skipping, capsys) -> None:
        print_summary(forged(skipping, skipping.embedder))
        said = " ".join(capsys.readouterr().out.split())
        assert f"beginnings of {len(OTHER)}, {len(LONG)}; ends of {len(CLOSING)} char" in said
