"""Tables of prompts routed into Parquet: the decisions of `route_many`, and errors as rows.

Not here: how prompts are read (tests/table/test_prompt_table.py), and the command (tests/cli).
"""

from __future__ import annotations

import gzip
import json
import pickle
import random
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hypernova
from hypernova.errors import (
    EmbedderError,
    EmbedderMismatchError,
    NotFoundError,
    PolicyError,
    TableError,
    UnknownModelError,
    WriteError,
)
from hypernova.router import RoutedTable, chunk_vectors
from hypernova.router import table as module
from hypernova.router.explanation import REASONS
from hypernova.router.table import route_chunk, route_nth_chunk
from hypernova.router.table_rows import rows_of, rows_of_each
from hypernova.table import prompts as prompts_module
from hypernova.table.prompts import PromptChunk, PromptTable
from support.factories import fitted, unit
from support.paths import ROOT
from support.tables import csv_file, jsonl, parquet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypernova.events import DecisionEvent

WORDS = (ROOT / "docs" / "fitting.md").read_text(encoding="utf-8").split()


def made_up(n: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randrange(1, 30))) for _ in range(n)]


@pytest.fixture(scope="module")
def router() -> hypernova.Router:
    return hypernova.Router.open()


@pytest.fixture(scope="module")
def vector_router() -> hypernova.Router:
    artifact, _ = fitted(0)
    return hypernova.Router(artifact)


@pytest.fixture
def small_chunks(monkeypatch) -> None:
    sizes(monkeypatch, chunk=7, embed=7)


def sizes(patch, *, chunk: int = 8192, piece: int = 2048, embed: int = 2048, group: int = 8):
    patch.setattr(prompts_module, "CHUNK_PROMPTS", chunk)
    patch.setattr(prompts_module, "_PIECE_ROWS", piece)
    patch.setattr(chunk_vectors, "_EMBED_TEXTS", embed)
    patch.setattr(module, "_GROUP_CHUNKS", group)


def row_of(decision: hypernova.Decision) -> dict[str, Any]:
    first, *others = decision.ranking
    return {
        "model": decision.model,
        "reason": decision.reason,
        "cluster": decision.cluster,
        "novelty": decision.novelty,
        "success": first.success,
        "cost_usd": first.cost_usd,
        "latency_s": first.latency_s,
        "propensity": decision.propensity,
        "fallbacks": [entry.model for entry in others[:2]],
        "error": None,
    }


def assert_rows(path: Path, decisions: Sequence[hypernova.Decision], **columns: Any) -> None:
    found = pq.read_table(path)
    assert found.column("row").to_pylist() == list(range(len(decisions)))
    for name, values in columns.items():
        assert found.column(name).to_pylist() == values
    rest = found.drop_columns(["row", *columns]).to_pylist()
    assert rest == [row_of(decision) for decision in decisions]


def prompt_file(folder: Path, texts: Sequence[str | None], **columns: Any) -> Path:
    return parquet(folder / "prompts.parquet", {"prompt": pa.array(texts, pa.string()), **columns})


# --- the same answers -------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cost_weight": 0.2, "deny": {"o3 (2025-04-16)"}, "on_novel": "best_overall"},
        {"prices": {"gpt-oss-120b": 0.001}, "cost_weight": 1.0, "min_success": 0.2},
        {"explore": 0.3, "explore_seed": 2**64 - 3, "max_cost_usd": float("inf")},
        {"previous_model": "o3 (2025-04-16)", "switch_cost": 0.05},
    ],
)
def test_it_is_route_many(router, tmp_path, monkeypatch, options: dict[str, Any]) -> None:
    """To the bit, over the end of a chunk, where every chunk but the last is full."""
    chunk = 2048 if options else prompts_module.CHUNK_PROMPTS
    sizes(monkeypatch, chunk=chunk)
    texts = made_up(chunk + 300)
    ids = [f"t{i}" for i in range(len(texts))]
    out = tmp_path / "out.parquet"
    routed = router.route_table(prompt_file(tmp_path, texts, task_id=ids), out, **options)
    decisions = router.route_many(texts, **options)
    assert_rows(out, decisions, task_id=ids)
    assert (routed.path, routed.n_prompts, routed.n_errors) == (out, len(texts), 0)
    models = [decision.model for decision in decisions]
    assert routed.model_counts == {model: models.count(model) for model in set(models)}
    assert list(routed.model_counts.values()) == sorted(routed.model_counts.values())[::-1]
    metadata = pq.ParquetFile(out).schema_arrow.metadata
    assert metadata[b"hypernova_version"].decode() == hypernova.__version__
    assert metadata[b"artifact_sha256"].decode() == router.artifact.sha256
    noted = json.loads(metadata[b"route_options"], parse_constant=pytest.fail)
    expected = {key: sorted(v) if isinstance(v, set) else v for key, v in options.items()}
    assert noted == {k: "inf" if v == float("inf") else v for k, v in expected.items()}


@pytest.mark.parametrize("name", ["llmrouter_mixed", "swebench_verified"])
def test_it_is_route_many_on_a_real_table(router, shared, tmp_path, name: str) -> None:
    path = shared / "data" / name
    tasks = pq.read_table(path / "tasks.parquet")
    texts, ids = (tasks.column(c).to_pylist()[:2500] for c in ("prompt", "task_id"))
    given = prompt_file(tmp_path, texts, task_id=ids)
    if len(tasks) <= 2500:
        given = path
    router.route_table(given, tmp_path / "out.parquet", cost_weight=0.1)
    assert_rows(tmp_path / "out.parquet", router.route_many(texts, cost_weight=0.1), task_id=ids)


def test_every_form_gives_the_same_bytes(router, tmp_path) -> None:
    texts = made_up(40)
    ids = [f"t{i}" for i in range(len(texts))]
    rows = [{"task_id": i, "prompt": t} for i, t in zip(ids, texts, strict=True)]
    quoted = ['"{}"'.format(t.replace('"', '""')) for t in texts]
    made = [
        prompt_file(tmp_path, texts, task_id=ids),
        jsonl(tmp_path, *rows),
        csv_file(tmp_path, "task_id,prompt", *map(",".join, zip(ids, quoted, strict=True))),
        tmp_path / "tasks",
    ]
    made.append(tmp_path / "packed.csv.gz")
    made[-1].write_bytes(gzip.compress(made[2].read_bytes()))
    for part in range(4):
        some = slice(part * 10, part * 10 + 10)
        columns = {"prompt": texts[some], "task_id": ids[some]}
        parquet(tmp_path / "tasks" / f"part-{part}.parquet", columns)
    contents = set()
    for number, path in enumerate([*made, tmp_path / "tasks" / "part-*.parquet", tmp_path]):
        if path == tmp_path:
            made[0].unlink()
        out = tmp_path / "tasks" / f".out{number}.parquet"
        router.route_table(str(path), out)
        contents.add(out.read_bytes())
    assert len(contents) == 1


def test_the_sizes_of_pieces_do_not_matter(vector_router, tmp_path, monkeypatch) -> None:
    """Vectors are given: those of texts depend, in their last bits, on a chunk's other texts."""
    vectors = unit(np.random.default_rng(3).normal(size=(50, 16)))
    table = parquet(tmp_path / "p.parquet", {"embedding": vectors.tolist()})
    tables = []
    for chunk, piece, group in ((50, 50, 1), (7, 3, 2), (1, 8, 4), (49, 50, 3), (8192, 2048, 8)):
        sizes(monkeypatch, chunk=chunk, piece=piece, group=group)
        vector_router.route_table(table, tmp_path / "o.parquet", explore=0.5, explore_seed=9)
        tables.append(pq.read_table(tmp_path / "o.parquet"))
    assert all(one.equals(tables[0], check_metadata=True) for one in tables)
    decisions = list(vector_router.decide_many(vectors, explore=0.5, explore_seed=9))
    assert_rows(tmp_path / "o.parquet", decisions)
    assert "explored" in {decision.reason for decision in decisions}
    # And with files of one row.
    for at in range(50):
        parquet(tmp_path / "parts" / f"{at:02}.parquet", {"embedding": [vectors[at].tolist()]})
    vector_router.route_table(tmp_path / "parts", tmp_path / "o.parquet", explore=0.5,
                              explore_seed=9)  # fmt: skip
    assert pq.read_table(tmp_path / "o.parquet").equals(tables[0])


def test_a_row_draws_what_the_core_draws_there(vector_router) -> None:
    """The seed of a matrix that begins at a row gives that row's draw of the whole matrix."""
    vectors = unit(np.random.default_rng(0).normal(size=(300, 16)))
    options = {"explore": 0.5, "explore_seed": 2**64 - 5}
    decide = vector_router.artifact.decide
    whole = vector_router.decide_many(vectors, **options)
    alone = [decide(v, **module._options_at(options, at)) for at, v in enumerate(vectors)]
    assert [d.model for d in whole] == [d.model for d in alone]
    assert len({d.reason for d in alone}) > 1


def test_a_seed_is_drawn_and_noted(vector_router, tmp_path) -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(60, 16)))
    table = parquet(tmp_path / "p.parquet", {"embedding": vectors.tolist()})
    found = []
    for name, seed in (("a", None), ("b", None), ("c", "a")):
        out = tmp_path / f"{name}.parquet"
        if seed is not None:
            noted = pq.ParquetFile(tmp_path / f"{seed}.parquet").schema_arrow.metadata
            seed = json.loads(noted[b"route_options"])["explore_seed"]
        vector_router.route_table(table, out, explore=0.9, explore_seed=seed)
        found.append(out.read_bytes())
    assert found[0] == found[2] != found[1]


@pytest.mark.usefixtures("small_chunks")
def test_options_hold_for_all_chunks(vector_router, tmp_path) -> None:
    """Iterators are read once, and numbers of numpy are numbers."""
    vectors = unit(np.random.default_rng(0).normal(size=(30, 16)))
    table = parquet(tmp_path / "p.parquet", {"embedding": vectors.tolist()})
    out = tmp_path / "o.parquet"
    plain = {"allow": ["m1", "m3"], "explore": 0.5, "explore_seed": 2**63, "prices": {"m1": 0.5}}
    odd = {"explore": np.float32(0.5), "explore_seed": np.uint64(2**63)}
    vector_router.route_table(table, out, **plain | odd | {"allow": iter(["m3", "m1"])})
    assert_rows(out, list(vector_router.decide_many(vectors, **plain)))
    noted = json.loads(pq.ParquetFile(out).schema_arrow.metadata[b"route_options"])
    assert noted == plain


def test_all_reasons_have_a_place(vector_router) -> None:
    reasons = vector_router.decide_many(np.zeros((0, 16), np.float32)).reasons
    assert set(reasons) == set(REASONS)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"explore": 0.5, "explore_seed": 3},
        {"allow": ["m2", "m0"]},  # one model is left for `fallbacks`
        {"allow": ["m1"], "prices": {"m1": 0.25}},  # and none
    ],
)
def test_columns_of_the_core_are_rows_of_each_decision(vector_router, options) -> None:
    """The oracle reads each `Decision` and its ranking; null where a prompt has an error."""
    vectors = unit(np.random.default_rng(5).normal(size=(40, 16)))
    decisions = vector_router.artifact.decide_many(vectors, **options)
    for bad in (set(), {0, 7, 39}):
        errors = [f"error {at}" if at in bad else None for at in range(40)]
        chunk = PromptChunk(100, [], [f"t{at}" for at in range(40)], vectors)
        each = [None if at in bad else decision for at, decision in enumerate(decisions)]
        found = rows_of(chunk, decisions, errors)
        assert found.equals(rows_of_each(decisions.models, chunk, each, errors))
        assert found.column("cost_usd").null_count >= len(bad)
        assert found.column("fallbacks").null_count == len(bad)


@pytest.mark.usefixtures("small_chunks")
def test_threads_and_processes_give_the_same_bytes(router, vector_router, tmp_path) -> None:
    """By default chunks are decided in threads; `route_many` is the oracle of both kinds."""
    texts = made_up(40)
    given = prompt_file(tmp_path, [*texts, ""])
    vectors = unit(np.random.default_rng(3).normal(size=(50, 16)))
    table = parquet(tmp_path / "v.parquet", {"embedding": vectors.tolist()})
    for one, path, options in (
        (router, given, {"cost_weight": 0.1}),
        (vector_router, table, {"explore": 0.5, "explore_seed": 9}),
        (vector_router, table, {"min_success": 0.62}),  # no model for some
    ):
        contents = set()
        for jobs in (None, 1):
            one.route_table(path, tmp_path / "o.parquet", jobs=jobs, **options)
            contents.add((tmp_path / "o.parquet").read_bytes())
        assert len(contents) == 1
        assert "error" in pq.read_schema(tmp_path / "o.parquet").names


# --- errors as rows ---------------------------------------------------------------------


@pytest.mark.usefixtures("small_chunks")
def test_a_prompt_without_a_decision_is_a_row_with_its_reason(router, tmp_path) -> None:
    texts: list[str | None] = [*made_up(30)]
    texts[0] = texts[13] = ""
    texts[14] = None
    texts[28] = " \n\u200b"
    out = tmp_path / "out.parquet"
    routed = router.route_table(prompt_file(tmp_path, texts), out)
    rows = pq.read_table(out).to_pylist()
    bad = {0, 13, 14, 28}
    assert (routed.n_prompts, routed.n_decided, routed.n_errors) == (30, 26, 4)
    assert sum(routed.model_counts.values()) == 26
    for at, row in enumerate(rows):
        if at in bad:
            assert set(row) - {k for k, v in row.items() if v is None} == {"row", "error"}
            continue
        alone = router.route(texts[at])
        assert row == {"row": at, **row_of(alone)} | {
            key: pytest.approx(row[key], abs=1e-5) for key in ("success", "novelty", "cost_usd")
        }
        assert alone.ranking[0].success == pytest.approx(row["success"], abs=1e-5)
    blank = "the text is empty: expected at least one visible character"
    assert [rows[at]["error"] for at in sorted(bad)] == [
        blank, blank, "the prompt is null: expected a text", blank,
    ]  # fmt: skip


def test_limits_that_leave_no_model_for_some(vector_router, tmp_path, monkeypatch) -> None:
    """The messages are those of one prompt alone, and the draws those of its place."""
    sizes(monkeypatch, chunk=7)
    vectors = unit(np.random.default_rng(1).normal(size=(60, 16)))
    table = parquet(tmp_path / "p.parquet", {"embedding": vectors.tolist()})
    # A half of the vectors is novel.
    distances = np.sort(vector_router.decide_many(vectors).distances)[[0, 30]]
    vector_router = hypernova.Router(vector_router.artifact.replace(novelty=distances))
    limit = {"min_success": 0.62, "explore": 0.5, "explore_seed": 4}
    strict = {"on_novel": "error"}
    for options in (limit, strict):
        vector_router.route_table(table, tmp_path / "o.parquet", **options)
        rows = pq.read_table(tmp_path / "o.parquet").to_pylist()
        errors = 0
        for at, (row, vector) in enumerate(zip(rows, vectors, strict=True)):
            alone, said = None, None
            try:
                alone = vector_router.decide(vector, **module._options_at(options, at))
            except hypernova.HypernovaError as error:
                said = str(error)
            if alone is not None:
                assert row == {"row": at, **row_of(alone)}
                continue
            errors += 1
            assert (row["error"], row["model"], row["fallbacks"]) == (said, None, None)
        assert 0 < errors < 60


def test_a_text_without_a_token(tmp_path, monkeypatch) -> None:
    """Its neighbours are embedded one by one; the bar counts each text once."""
    router = hypernova.Router.open()
    sizes(monkeypatch, chunk=10, embed=4)
    texts = made_up(12)
    texts[5] = "\ue000"  # of private use: no blank, and no token
    with pytest.raises(hypernova.errors.TextError) as caught:
        router.route(texts[5])
    counted: list[int] = []
    chunk = next(PromptTable.scan(prompt_file(tmp_path, texts)).chunks())
    rows, event = module._route_chunk(router, chunk, {}, counted.append, observed=True)
    assert sum(counted) == len(chunk) == 10
    assert rows.column("error").to_pylist()[5] == str(caught.value)
    assert rows.column("error").null_count == 9
    assert event is not None
    assert len(event.decisions) == 9


def test_an_embedder_that_fails_names_the_row(tmp_path, monkeypatch) -> None:
    sizes(monkeypatch, chunk=4, embed=4)
    texts = [*made_up(9), "bad"]

    def half(batch: list[str]) -> np.ndarray:
        if "gone" in batch:
            raise ConnectionError("the service is gone")
        return np.array([[0.0 if text == "bad" else 1.0] * 16 for text in batch])

    artifact, _ = fitted(0)
    embedder = hypernova.CallableEmbedder(half, name="half", dim=16)
    artifact = artifact.replace(embedder={**embedder.identity, "kind": "text",
                                          "fingerprint": embedder.fingerprint})  # fmt: skip
    router = hypernova.Router(artifact, embedder=embedder)
    with pytest.raises(EmbedderError, match="text 9"):
        router.route_table(prompt_file(tmp_path, texts), tmp_path / "out.parquet")
    # An error of the function is raised as it is, also if it is one of the system.
    with pytest.raises(ConnectionError, match="the service is gone"):
        router.route_table(prompt_file(tmp_path, ["gone"]), tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["prompts.parquet"]


# --- refused ----------------------------------------------------------------------------


def test_refused_before_the_work(router, tmp_path) -> None:
    given = prompt_file(tmp_path, ["one"])
    before = given.read_bytes()
    out = tmp_path / "out.parquet"
    cases: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
        (tmp_path / "gone", out, {}, NotFoundError, "gone: no such file"),
        (given, tmp_path / "none" / "o.parquet", {}, NotFoundError, "does not exist; make it"),
        (given, tmp_path / "out.csv", {}, WriteError, r"out.csv: decisions are written as Parquet"),
        (given, tmp_path, {}, WriteError, "is a folder; name a file"),
        (given, given, {}, WriteError, "would be overwritten"),
        (tmp_path / "*.parquet", given, {}, WriteError, "would be overwritten"),
        (given, out, {"allow": ["ghost"]}, UnknownModelError, "ghost"),
        (given, out, {"cost_weight": -1}, PolicyError, "cost_weight"),
        (given, out, {"cost_wait": 1}, TypeError, "cost_wait"),
        (given, out, {"explore": 1.5}, PolicyError, "explore"),
        (parquet(tmp_path / "x" / "x.parquet", {"text": ["x"]}), out, {}, TableError, "lacks"),
    ]
    for source, target, options, kind, message in cases:
        with pytest.raises(kind, match=message):
            router.route_table(source, target, **options)
    assert given.read_bytes() == before
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["prompts.parquet", "x", "x.parquet"]


def test_routers_without_text(vector_router, tmp_path) -> None:
    texts = prompt_file(tmp_path, ["one"])
    with pytest.raises(TableError, match="lacks 'embedding', found 'prompt'"):
        vector_router.route_table(texts, tmp_path / "o.parquet")
    artifact = vector_router.artifact
    other = artifact.replace(embedder={**artifact.embedder, "kind": "text"})
    with pytest.raises(EmbedderMismatchError, match="pass embedder="):
        hypernova.Router(other).route_table(texts, tmp_path / "o.parquet")
    short = parquet(tmp_path / "v.parquet", {"embedding": [[1.0, 0.0]]})
    with pytest.raises(TableError, match="row 1, column 'embedding': found a vector of 2 numbers"):
        vector_router.route_table(short, tmp_path / "o.parquet")
    assert not (tmp_path / "o.parquet").exists()


@pytest.mark.usefixtures("small_chunks")
def test_an_error_midway_leaves_the_old_file(router, tmp_path) -> None:
    out = tmp_path / "out.parquet"
    out.write_bytes(b"old")
    rows = [{"prompt": text} for text in made_up(40)]
    with pytest.raises(TableError, match="line 41: is not valid JSON"):
        router.route_table(jsonl(tmp_path, *rows, "{"), out)
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "table.jsonl"]
    router.route_table(jsonl(tmp_path, *rows), out)
    assert pq.ParquetFile(out).metadata.num_rows == 40


# --- around it --------------------------------------------------------------------------


@pytest.mark.usefixtures("small_chunks")
def test_observers_receive_an_event_for_each_chunk(tmp_path) -> None:
    router = hypernova.Router.open()
    events: list[DecisionEvent] = []
    router.observe(events.append)
    texts = made_up(20)
    texts[3] = ""
    routed = router.route_table(prompt_file(tmp_path, texts), tmp_path / "out.parquet")
    assert [len(event.decisions) for event in events] == [6, 7, 6]
    assert all(event.embed_s > 0 and event.decide_s > 0 for event in events)
    assert sum(event.embed_s + event.decide_s for event in events) <= routed.duration_s
    models = pq.read_table(tmp_path / "out.parquet").column("model").to_pylist()
    assert [d.model for e in events for d in e.decisions] == [m for m in models if m]


@pytest.mark.usefixtures("small_chunks")
def test_a_reload_meanwhile_changes_nothing(tmp_path) -> None:
    """All rows are of the artifact that the file names."""
    first, _ = fitted(0)
    second, _ = fitted(1)
    second.save(tmp_path / "second.hnv")
    router = hypernova.Router(first)
    router.observe(lambda _: router.reload(tmp_path / "second.hnv"))
    vectors = unit(np.random.default_rng(1).normal(size=(30, 16)))
    table = parquet(tmp_path / "p.parquet", {"embedding": vectors.tolist()})
    router.route_table(table, tmp_path / "o.parquet")
    assert router.artifact.sha256 == second.sha256
    assert_rows(tmp_path / "o.parquet", list(first.decide_many(vectors)))
    noted = pq.ParquetFile(tmp_path / "o.parquet").schema_arrow.metadata
    assert noted[b"artifact_sha256"].decode() == first.sha256


@pytest.mark.usefixtures("small_chunks")
def test_chunks_can_be_routed_elsewhere(router, tmp_path) -> None:
    """The function, its arguments and its result pickle, and add up to the same table."""
    texts = made_up(30)
    texts[4] = ""
    given = prompt_file(tmp_path, texts, task_id=[str(i) for i in range(30)])
    options: dict[str, Any] = {"explore": 0.5, "explore_seed": 7}
    router.route_table(given, tmp_path / "out.parquet", **options)
    call = pickle.loads(pickle.dumps(partial(route_chunk, router, options=options)))
    table = pickle.loads(pickle.dumps(PromptTable.scan(given)))
    tables = [call(chunk=pickle.loads(pickle.dumps(chunk))) for chunk in table.chunks()]
    assert len(tables) == 5
    joined = pa.concat_tables(pickle.loads(pickle.dumps(tables)))
    assert joined.equals(pq.read_table(tmp_path / "out.parquet"))
    calls = [partial(route_nth_chunk, router, table, i, options) for i in range(table.n_chunks)]
    again = [call() for call in pickle.loads(pickle.dumps(calls))]
    assert pa.concat_tables(again).equals(joined)


def test_the_counts_are_plain_values(router, tmp_path) -> None:
    routed = router.route_table(prompt_file(tmp_path, ["one"]), tmp_path / "out.parquet")
    assert isinstance(routed, RoutedTable)
    assert pickle.loads(pickle.dumps(routed)) == routed
    values = json.loads(json.dumps(routed.to_dict()))
    assert values.pop("path") == str(routed.path)
    assert values == {key: getattr(routed, key) for key in values}
    assert set(values) | {"path"} == set(RoutedTable.__dataclass_fields__)
