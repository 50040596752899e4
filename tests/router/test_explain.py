"""An explanation: what was read, the clusters, the estimates, in Python and the command.

Not here: that the core explains what it decides (see the core's own tests).
"""

from __future__ import annotations

import json

import numpy as np
import pytest

import hypernova
from hypernova.artifact.profile import ModelColumns, rebuild
from hypernova.errors import MessagesError, NoCandidateError, TextError
from hypernova.router import Explanation
from support.commands import run
from support.paths import TABLE

TEXT = "QuerySet.union() drops the ordering of the second query"


@pytest.fixture(scope="module")
def router() -> hypernova.Router:
    return hypernova.Router.open()


def test_an_explanation_holds_the_decision_that_route_gives(router: hypernova.Router) -> None:
    options = {"cost_weight": 0.1, "deny": [router.route(TEXT).model]}
    for given in ({}, options):
        said = router.explain(TEXT, **given)
        decision = router.route(TEXT, **given)
        assert said.decision.model == decision.model
        assert said.decision.reason == decision.reason
        ranking = [(e.model, e.success, e.utility, e.n) for e in decision.ranking]
        candidates = [e for e in said.estimates if e.candidate]
        assert [(e.model, e.success, e.utility, e.n) for e in candidates] == ranking
        assert len(said.estimates) == len(router.artifact.models)
        assert said.default_model == router.artifact.default_model
        for estimate in said.estimates:
            assert estimate.success == pytest.approx(estimate.profile + estimate.correction)
    assert not next(e for e in said.estimates if e.model == options["deny"][0]).candidate


def test_words_that_another_program_wrote_move_no_cursor(router: hypernova.Router) -> None:
    artifact = router.artifact
    profile, metadata = (
        ModelColumns.of(artifact),
        {"words": [["a\x1b[2Jb", "\u202ec"]] * artifact.n_clusters},
    )
    odd = rebuild(artifact, list(artifact.models), profile, artifact.default_model, metadata)
    said = str(hypernova.Router(odd).explain(TEXT))
    assert r"a\x1b[2Jb \u202ec" in said
    assert said.replace("\n", "").isprintable()


@pytest.mark.slow
def test_clusters_have_their_share_their_count_and_their_words() -> None:
    table = hypernova.OutcomeTable.read(TABLE)
    artifact = hypernova.fit(table, clusters=4)
    router = hypernova.Router(artifact)
    said = router.explain(TEXT)
    words = artifact.metadata["words"]
    distances = np.linalg.norm(artifact.centroids - router.embedder.embed_one(TEXT), axis=1)
    order = np.argsort(distances)[: len(said.clusters)]
    assert [near.cluster for near in said.clusters] == order.tolist()
    for near in said.clusters:
        assert near.distance == pytest.approx(distances[near.cluster], rel=1e-5)
        assert near.tasks == artifact.counts[near.cluster].max()
        assert list(near.words) == words[near.cluster]
    assert len(said.clusters) >= 3
    shares = sum(near.share for near in said.clusters)
    assert shares == pytest.approx(0.0 if said.novel else 1.0)
    assert " ".join(said.clusters[0].words)[:20] in str(said)


def test_an_artifact_without_words_is_explained_without_them(router: hypernova.Router) -> None:
    said = router.explain(TEXT)
    assert all(near.words == () for near in said.clusters)
    assert "nearest clusters; the artifact has no words\n" in str(said)
    assert "(no words)" not in str(said)


def test_it_holds_the_parts_that_were_read_and_cut(router: hypernova.Router) -> None:
    whole = router.explain(TEXT)
    assert whole.texts[0].read == (TEXT,)
    assert whole.texts[0].cut == ()
    assert f"all of {len(TEXT)} characters" in str(whole)
    long = f"{TEXT}. " + "a filler sentence. " * 400 + "Which method drops it?"
    (text,) = router.explain(long).texts
    assert text.text == long
    assert text.read[0].startswith(TEXT)
    assert text.read[-1].endswith("Which method drops it?")
    assert len(text.cut) == 1
    assert "".join([text.read[0], *text.cut, text.read[-1]]) == long
    # An answer that depends on no character that is said to be cut.
    other = text.read[0] + text.cut[0].replace("filler", "unread") + text.read[-1]
    assert other != long
    assert router.embedder.embed_one(long).tobytes() == router.embedder.embed_one(other).tobytes()
    assert "not read: " in str(router.explain(long))


def test_of_a_conversation_it_holds_the_turns_that_are_read(router: hypernova.Router) -> None:
    said = router.explain(
        messages=[
            {"role": "user", "content": TEXT},
            {"role": "assistant", "content": "I see."},
            {"role": "user", "content": [{"type": "text", "text": "Fix it"}]},
        ]
    )
    assert [text.text for text in said.texts] == [TEXT, "Fix it"]
    assert all(text.cut == () for text in said.texts)


def test_what_route_refuses_is_refused_alike(router: hypernova.Router) -> None:
    with pytest.raises(TextError):
        router.explain("   ")
    with pytest.raises(MessagesError):
        router.explain(messages=[])
    with pytest.raises(NoCandidateError):
        router.explain(TEXT, allow=[])
    with pytest.raises(TypeError, match="expected one of them"):
        router.explain()
    with pytest.raises(TypeError, match="expected one of them"):
        router.explain(TEXT, messages=[])


def test_an_explanation_is_plain_json_without_the_words_of_a_prompt(
    router: hypernova.Router,
) -> None:
    said = router.explain(TEXT)
    assert isinstance(said, Explanation)
    text = json.dumps(said.to_dict(), allow_nan=False)
    assert TEXT not in text
    found = json.loads(text)
    assert found["texts"] == [{"characters": len(TEXT), "read": [[0, len(TEXT)]]}]
    assert found["decision"]["model"] == said.decision.model
    assert found["estimates"][0]["model"] == said.estimates[0].model


def test_the_command_explains_in_words_and_in_json(router: hypernova.Router) -> None:
    said = router.explain(TEXT)
    done = run("route", "--explain", TEXT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == said.decision.model
    for part in ("read: all of", "novelty ", "nearest clusters", "success = profile + correction"):
        assert part in done.stdout
    found = json.loads(run("route", "--explain", TEXT, "--json").stdout)
    assert found["estimates"] == said.to_dict()["estimates"]


@pytest.mark.slow
def test_the_command_explains_each_line_of_its_input() -> None:
    done = run("route", "--explain", "-", "--json", stdin="Join two tables\nWrite a sonnet\n")
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["texts"][0]["characters"] for row in rows] == [15, 14]
    plain = run("route", "--explain", "-", stdin="Join two tables\nWrite a sonnet\n").stdout
    assert plain.count("success = profile + correction") == 2
