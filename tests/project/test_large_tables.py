"""The generator of large tables: what its content depends on, and that its truth is true.

Not here: reading such tables in pieces, and the benchmark that fits them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benches.large_tables import bytes_needed, size_of, task_files, write
from benches.process_tree import CommandError, measured
from benches.simulated_world import (
    AXES,
    BLOCK_TASKS,
    POPULAR,
    POPULAR_PART,
    World,
    block,
    make_world,
    tasks_of,
    truth,
)

from hypernova import OutcomeTable
from hypernova._core import WordPieceTokenizer
from hypernova.embedder import bundled_embedders
from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# Short prompts; a table of so many tasks ends within a block.
WORLD = make_world(3, models=4, groups=5, tokens=12)
TASKS = BLOCK_TASKS + 1_000


def read(folder: Path, kind: str = "") -> pa.Table:
    """Read the Parquet files of a table, one after the other."""
    paths = task_files(folder)
    if kind == "outcomes":
        paths = sorted((folder / kind).glob("*.parquet")) or [folder / "outcomes.parquet"]
    return pa.concat_tables([pq.ParquetFile(path).read() for path in paths]).combine_chunks()


def from_nested(rows: pa.Table, world: World, vectors: bool = False) -> OutcomeTable:
    """Make an outcome table of rows with nested outcomes."""
    shape = (len(rows), len(world.models))
    values = {key: np.full(shape, np.nan) for key in ("score", "cost_usd", "latency_s")}
    for i, outcomes in enumerate(rows["outcomes"].to_pylist()):
        for outcome in outcomes:
            for key, column in values.items():
                column[i, world.models.index(outcome["model"])] = outcome[key]
    return OutcomeTable.from_arrays(
        task_ids=rows["task_id"].to_pylist(),
        prompts=rows["prompt"].to_pylist(),
        groups=rows["group"].to_pylist(),
        models=world.models,
        embedding=np.array(rows["embedding"].to_pylist()) if vectors else None,
        **values,
    )


def assert_same(a: OutcomeTable, b: OutcomeTable) -> None:
    assert (a.task_ids, a.prompts, a.groups, a.models) == (
        b.task_ids,
        b.prompts,
        b.groups,
        b.models,
    )
    np.testing.assert_array_equal(a.score, b.score)
    np.testing.assert_array_equal(a.cost_usd, b.cost_usd)
    np.testing.assert_array_equal(a.latency_s, b.latency_s)
    assert (a.embedding is None) == (b.embedding is None)
    if a.embedding is not None:
        np.testing.assert_array_equal(a.embedding, b.embedding)


@pytest.mark.slow
def test_the_content_depends_on_no_number_of_files_row_groups_or_processes(tmp_path):
    write(tmp_path / "a", WORLD, TASKS, files=1, jobs=1)
    write(tmp_path / "b", WORLD, TASKS, files=3, jobs=2, row_group=1_000)
    assert len(list((tmp_path / "b").iterdir())) == 3
    first = read(tmp_path / "a")
    assert len(first) == TASKS
    assert first.equals(read(tmp_path / "b"))
    groups = pq.ParquetFile(tmp_path / "b" / "part-00000.parquet").metadata
    assert groups.row_group(0).num_rows == 1_000


def test_the_same_arguments_make_the_same_bytes_and_another_seed_makes_others(tmp_path):
    for name, world in (("a", WORLD), ("b", WORLD), ("c", make_world(4, models=4, tokens=12))):
        write(tmp_path / name, world, 2_000, files=2, layout="shuffled", jobs=1)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").glob("*/*"))
    assert len(files) == 4
    for file in files:
        contents = [(tmp_path / name / file).read_bytes() for name in "abc"]
        assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize("layout", ["nested", "apart"])
def test_a_shorter_table_is_the_beginning_of_a_longer_one(tmp_path, layout):
    write(tmp_path / "long", WORLD, TASKS, layout=layout, files=2, jobs=1)
    write(tmp_path / "short", WORLD, 5_000, layout=layout, files=3, jobs=1)
    for kind in [""] if layout == "nested" else ["tasks", "outcomes"]:
        long, short = read(tmp_path / "long", kind), read(tmp_path / "short", kind)
        assert len(short) == 5_000 * (4 if kind == "outcomes" else 1)
        assert long.slice(0, len(short)).combine_chunks().equals(short)


def test_a_block_depends_on_its_number_alone():
    start, stop = 5 * BLOCK_TASKS - 10, 6 * BLOCK_TASKS + 10
    pieces = list(tasks_of(WORLD, start, stop))
    assert [len(piece) for piece in pieces] == [10, BLOCK_TASKS, 10]
    alone = block(WORLD, 5)
    assert pieces[1].prompts.equals(alone.prompts)
    np.testing.assert_array_equal(pieces[1].score, alone.score)
    assert pieces[0].first == start
    assert pieces[0].prompts.equals(block(WORLD, 4).prompts.slice(BLOCK_TASKS - 10))


@pytest.mark.parametrize("holes", [0.0, 0.3])
def test_layouts_hold_the_same_table(tmp_path, holes):
    world = make_world(3, models=4, groups=5, tokens=12, holes=holes)
    for layout in ("nested", "apart", "shuffled", "csv", "jsonl"):
        write(tmp_path / layout, world, 1_500, layout=layout, files=1, jobs=1)
        assert size_of(tmp_path / layout) < bytes_needed(world, 1_500, layout)
    expected = from_nested(read(tmp_path / "nested"), world)
    assert np.isnan(expected.score).mean() == pytest.approx(holes * 0.75, abs=0.02)
    for path in ("apart", "shuffled", "csv/part-00000.csv", "jsonl/part-00000.jsonl"):
        assert_same(expected, OutcomeTable.read(tmp_path / path))
    ordered, shuffled = (
        read(tmp_path / "apart", "outcomes"),
        read(tmp_path / "shuffled", "outcomes"),
    )
    keys = [("task_id", "ascending"), ("model", "ascending")]
    assert not ordered.equals(shuffled)
    assert ordered.equals(shuffled.sort_by(keys).combine_chunks())


@pytest.mark.slow
def test_shuffled_outcomes_stand_far_from_their_tasks_whatever_the_files(tmp_path):
    write(tmp_path / "a", WORLD, TASKS, layout="shuffled", files=1, jobs=1)
    write(tmp_path / "b", WORLD, TASKS, layout="shuffled", files=3, jobs=2)
    first = read(tmp_path / "a", "outcomes")
    assert first.equals(read(tmp_path / "b", "outcomes"))
    task = np.array([int(i[5:]) for i in first["task_id"].to_pylist()])
    assert abs(np.corrcoef(task, np.arange(len(task)))[0, 1]) < 0.03
    # Not only as a whole: a piece of the rows has tasks from all over the table.
    for piece in np.array_split(task, 50):
        assert piece.min() < TASKS * 0.05
        assert piece.max() > TASKS * 0.95


@pytest.mark.parametrize("layout", ["csv", "jsonl"])
def test_text_files_one_after_the_other_are_the_one_file(tmp_path, layout):
    write(tmp_path / "one", WORLD, 600, layout=layout, files=1, jobs=1)
    write(tmp_path / "many", WORLD, 600, layout=layout, files=3, jobs=1)
    one = (tmp_path / "one" / f"part-00000.{layout}").read_bytes()
    header = one.index(b"\n") + 1 if layout == "csv" else 0
    many = [path.read_bytes()[header:] for path in sorted((tmp_path / "many").iterdir())]
    assert one[header:] == b"".join(many)
    write(tmp_path / "packed", WORLD, 600, layout=layout, files=1, jobs=1, packed=True)
    packed = tmp_path / "packed" / f"part-00000.{layout}.gz"
    assert_same(OutcomeTable.read(packed), OutcomeTable.read(tmp_path / "one" / packed.stem))


def test_vectors_are_those_of_the_kinds_and_axes(tmp_path):
    world = make_world(3, models=4, groups=5, dim=32)
    write(tmp_path / "nested", world, 1_500, files=2, jobs=1)
    expected = from_nested(read(tmp_path / "nested"), world, vectors=True)
    for layout, path in (("apart", ""), ("jsonl", "part-00000.jsonl")):
        write(tmp_path / layout, world, 1_500, files=1, layout=layout, jobs=1)
        found = OutcomeTable.read(tmp_path / layout / path)
        assert_same(expected, found)
    assert found.embedding is not None
    kinds = next(tasks_of(world, 0, 1_500)).kinds
    nearest = (found.embedding @ world.places[: len(world.groups)].T).argmax(axis=1)
    assert (nearest == kinds).mean() > 0.8
    with pytest.raises(SystemExit, match="CSV cannot hold vectors"):
        write(tmp_path / "csv", world, 10, layout="csv")


def test_the_truth_agrees_with_the_outcomes_within_binomial_errors():
    world = make_world(9, tokens=8)
    blocks = [block(world, number) for number in range(6)]
    kinds = np.concatenate([tasks.kinds for tasks in blocks])
    score = np.concatenate([tasks.score for tasks in blocks])
    latent = np.concatenate([tasks.latent for tasks in blocks])
    true = truth(world)
    for kind, success in enumerate(np.array(true["success"])):
        of_kind = score[kinds == kind]
        error = np.sqrt(success * (1 - success) / len(of_kind))
        assert len(of_kind) / len(kinds) == pytest.approx(true["share"][kind], abs=0.01)
        assert (np.abs(of_kind.mean(axis=0) - success) < 4.5 * error).all()
    # Prompt by prompt: what is left has no mean and no slope along an axis.
    expected = world.expected(kinds, latent)
    assert expected.min() > 0.04
    assert expected.max() < 0.96
    error = np.sqrt((expected * (1 - expected)).sum(axis=0))
    assert (np.abs((score - expected).sum(axis=0)) < 4.5 * error).all()
    for axis in range(AXES):
        along = latent[:, axis, None]
        error = np.sqrt((along**2 * expected * (1 - expected)).sum(axis=0))
        assert (np.abs((along * (score - expected)).sum(axis=0)) < 4.5 * error).all()
    overall = np.array(true["overall"])
    assert true["best_single"] == world.models[overall.argmax()]
    assert true["best_single_success"] == overall.max() < true["best_of_group_success"]


def test_holes_hide_outcomes_and_change_none():
    whole, holed = (
        block(WORLD, 0),
        block(make_world(3, models=4, groups=5, tokens=12, holes=0.5), 0),
    )
    assert holed.prompts.equals(whole.prompts)
    for a, b in (("score", 1), ("cost_usd", 9), ("latency_s", 3)):
        some = ~np.isnan(getattr(holed, a))
        np.testing.assert_array_equal(getattr(whole, a)[some], getattr(holed, a)[some])
        assert some.any(axis=1).all()
        assert 0.6 < some.mean() < 0.65  # half, and the one that each task keeps
        assert np.allclose(getattr(whole, a), np.round(getattr(whole, a), b))


def test_prompts_have_the_length_that_was_asked_for_and_some_come_again():
    tasks = block(make_world(1, tokens=100), 0)
    path = bundled_embedders()["static"] / "tokenizer.json"
    tokenizer = WordPieceTokenizer.from_json(path.read_bytes())
    assert tokenizer is not None
    lengths = [len(tokenizer.encode(text)) for text in tasks.prompts.to_pylist()[:2_000]]
    assert np.mean(lengths) == pytest.approx(100, rel=0.05)
    assert np.percentile(lengths, 95) > 3 * np.percentile(lengths, 20)
    texts = Counter(tasks.prompts.to_pylist())
    again = {text: count for text, count in texts.items() if count > 1}
    assert 0 < len(again) < POPULAR
    assert sum(again.values()) / len(tasks) == pytest.approx(POPULAR_PART, rel=0.4)
    other = set(block(make_world(1, tokens=100), 7).prompts.to_pylist())
    assert len(other & set(again)) > 3


def test_a_table_is_refused_where_something_is_or_the_disk_is_too_small(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(SystemExit, match="there: exists already"):
        write(tmp_path / "there", WORLD, 10)
    with pytest.raises(SystemExit, match=r"needs about [0-9.]+ GB, and [0-9.]+ GB are free"):
        write(tmp_path / "huge", WORLD, 10**15)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.slow
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(tmp_path, signal_):
    process = subprocess.Popen(
        [
            sys.executable, "-m", "benches.large_tables", tmp_path / "out",
            "--tasks", "3000000", "--files", "200",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    limit = time.monotonic() + 60
    while not any(tmp_path.rglob("*.parquet")) and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal_)
    assert process.wait(timeout=60) != 0
    assert not any(tmp_path.iterdir())


def test_the_command_prints_the_truth_and_the_size(tmp_path):
    done = subprocess.run(
        [
            sys.executable, "-m", "benches.large_tables", tmp_path / "out", "--tasks", "500",
            "--tokens", "12", "--files", "2", "--jobs", "1", "--truth", tmp_path / "truth.json",
        ],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    true = truth(make_world(0, tokens=12))
    assert "out: 500 tasks, " in done.stdout
    assert f"best single model: {true['best_single']}" in done.stdout
    assert (tmp_path / "truth.json").read_text().startswith('{\n "models"')
    assert size_of(tmp_path / "out") == sum(p.stat().st_size for p in (tmp_path / "out").iterdir())


HELD = """
import subprocess, sys, time
held = bytearray(b"1") * (96 << 20)
if len(sys.argv) < 2:
    print("parent", flush=True)
    subprocess.run([sys.executable, __file__, "child"], check=True)
time.sleep(0.7)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_of_a_command_is_that_of_all_its_processes(tmp_path):
    (tmp_path / "held.py").write_text(HELD)
    used = measured([sys.executable, str(tmp_path / "held.py")])
    assert used.processes == 2
    assert used.memory >= used.private > 2 * (96 << 20)
    assert (96 << 20) < used.largest < used.memory
    assert used.wall_s > 1.4
    assert 0 < used.cpu_s < used.wall_s * 2
    assert used.output == "parent\n"
    with pytest.raises(CommandError, match=r"exit code 3: no message"):
        measured([sys.executable, "-c", "raise SystemExit(3)"])
