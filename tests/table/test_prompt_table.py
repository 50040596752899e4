"""Prompts read in pieces: the same chunks however a table is stored, and errors with file and row.

Not here: `read_prompts` of each format (test_table.py, test_formats.py), which reads the same way.
"""

from __future__ import annotations

import gzip
import json
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypernova.errors import NotFoundError, TableError
from hypernova.table import prompts as module
from hypernova.table import read_prompts
from hypernova.table.prompts import PromptTable
from support.commands import run_python
from support.tables import assert_one_line, csv_file, folder, jsonl, parquet

TASKS = Path("/proc/self/task")


def content(table: PromptTable, dim: int | None = None) -> tuple[list, list | None]:
    """All prompts and ids; the chunks follow on each other and are full but the last."""
    prompts: list[str | None] = []
    ids: list[str] | None = [] if table.has_task_ids else None
    sizes = []
    for chunk in table.chunks(dim=dim):
        assert chunk.start == sum(sizes)
        sizes.append(len(chunk))
        prompts += chunk.prompts
        if ids is not None:
            assert chunk.task_ids is not None
            ids += chunk.task_ids
    assert set(sizes[:-1]) <= {module.CHUNK_PROMPTS}
    assert 0 < sizes[-1] <= module.CHUNK_PROMPTS
    assert table.n_prompts in (None, sum(sizes))
    if table.n_chunks is not None:
        assert [table.chunk(i, dim=dim) for i in range(table.n_chunks)] == list(
            table.chunks(dim=dim)
        )
    return prompts, ids


def refused(path: object, *parts: str, dim: int | None = None) -> str:
    with pytest.raises(TableError) as caught:
        list(PromptTable.scan(path, vectors=dim is not None).chunks(dim=dim))
    return assert_one_line(caught.value, *parts)


@pytest.fixture
def small_chunks(monkeypatch) -> None:
    monkeypatch.setattr(module, "CHUNK_PROMPTS", 5)
    monkeypatch.setattr(module, "_PIECE_ROWS", 3)


PROMPTS: list[str | None] = [f"prompt {i}, \u2028 {'é' * i}" for i in range(12)] + [" ", "", None]
IDS = [f"t{i}" for i in range(len(PROMPTS))]


def write_all(at: Path, prompts: list[str | None], ids: list[str]) -> dict[str, Path]:
    """The same prompts in every form; CSV and text have no null."""
    columns = {"task_id": ids, "prompt": pa.array(prompts, pa.string())}
    rows = [{"prompt": p, "task_id": i} for p, i in zip(prompts, ids, strict=True)]
    made = {
        "file": parquet(at / "one.parquet", columns),
        "groups": at / "groups.parquet",
        "jsonl": jsonl(at, *rows),
        "gz": at / "packed.ndjson.gz",
        "tasks": folder(at, columns),
        "parts": at / "parts",
        "pattern": at / "parts" / "*.parquet",
        "below": at / "below",
    }
    pq.write_table(pa.table(columns), made["groups"], row_group_size=2)
    made["gz"].write_bytes(gzip.compress(made["jsonl"].read_bytes()))
    kinds = [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
    for name, place in (("parts", made["parts"]), ("below", made["below"] / "tasks")):
        place.mkdir(parents=True)
        for part, first in enumerate(range(0, len(prompts), 4)):
            some = {
                "prompt": pa.array(prompts[first : first + 4], pa.string()).cast(kinds[part % 3]),
                "task_id": pa.array(ids[first : first + 4], pa.string()).cast(kinds[-part % 3]),
                "other": pa.array([part] * len(prompts[first : first + 4])),
            }
            pq.write_table(pa.table(some), place / f"{name}-{part}.parquet")
        (place / "_SUCCESS.parquet").write_bytes(b"")
    made["pattern"] = at / "parts" / "parts-*.parquet"
    return made


@pytest.mark.usefixtures("small_chunks")
def test_every_form_reads_alike(tmp_path: Path) -> None:
    for form, path in write_all(tmp_path, PROMPTS, IDS).items():
        table = PromptTable.scan(path)
        assert content(table) == (PROMPTS, IDS), form
        assert content(pickle.loads(pickle.dumps(table))) == (PROMPTS, IDS)
        assert len(pickle.dumps(table)) < 2000
        assert (table.n_prompts is None) == (form in ("jsonl", "gz"))


@pytest.mark.usefixtures("small_chunks")
def test_text_and_cells(tmp_path: Path) -> None:
    text = tmp_path / "p.txt"
    text.write_bytes(b"\xef\xbb\xbfone\r\n\n \ntwo\n" + b"x\n" * 9)
    assert content(PromptTable.scan(text)) == (["one", "", " ", "two", *("x" * 9)], None)
    assert read_prompts(text) == ["one", "two", *("x" * 9)]
    cells = csv_file(tmp_path, "prompt;n;task_id", '"a\nb";1;t0', '"";2;t1', *["x;3;t"] * 9)
    assert content(PromptTable.scan(cells)) == (["a\nb", "", *("x" * 9)], ["t0", "t1", *("t" * 9)])
    tabs = csv_file(tmp_path, "n\tprompt", "1\tone", name="p.tsv")
    assert content(PromptTable.scan(tabs)) == (["one"], None)


@pytest.mark.usefixtures("small_chunks")
def test_a_file_without_rows_among_others(tmp_path: Path) -> None:
    nothing = {"prompt": pa.array([], pa.string())}
    for name, columns in (("0", nothing), ("1", {"prompt": list("abcdef")}), ("2", nothing)):
        parquet(tmp_path / "parts" / f"{name}.parquet", columns)
    assert content(PromptTable.scan(tmp_path / "parts")) == (list("abcdef"), None)


def test_ids_may_be_integers(tmp_path: Path) -> None:
    path = parquet(tmp_path / "p.parquet", {"task_id": [7, 8], "prompt": ["a", "b"]})
    assert content(PromptTable.scan(path))[1] == ["7", "8"]
    assert content(PromptTable.scan(jsonl(tmp_path, {"prompt": "a", "task_id": 7})))[1] == ["7"]


@settings(max_examples=30)
@given(
    prompts=st.lists(
        st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
        min_size=1,
        max_size=40,
    ),
    chunk=st.integers(1, 12),
    piece=st.integers(1, 12),
    group=st.integers(1, 12),
    part=st.integers(1, 12),
)
def test_no_row_is_lost_whatever_the_sizes(
    tmp_path_factory, prompts: list[str | None], chunk: int, piece: int, group: int, part: int
) -> None:
    at = tmp_path_factory.mktemp("parts")
    ids = [str(i) for i in range(len(prompts))]
    for first in range(0, len(prompts), part):
        some = slice(first, first + part)
        columns = {"prompt": pa.array(prompts[some], pa.string()), "task_id": ids[some]}
        pq.write_table(pa.table(columns), at / f"{first:04}.parquet", row_group_size=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_PROMPTS", chunk)
        patch.setattr(module, "_PIECE_ROWS", piece)
        assert content(PromptTable.scan(at)) == (prompts, ids)


def test_vectors_are_of_unit_length(tmp_path: Path) -> None:
    raw = np.arange(1, 13, dtype=np.float32).reshape(4, 3)
    expected = raw / np.linalg.norm(raw.astype(np.float64), axis=1, keepdims=True)
    lists = {
        "fixed": pa.FixedSizeListArray.from_arrays(pa.array(raw.ravel()), 3),
        "wide": pa.array(raw.astype(np.float64).tolist(), pa.large_list(pa.float64())),
        "whole": pa.array(raw.astype(int).tolist()),
    }
    paths = [parquet(tmp_path / f"{name}.parquet", {"embedding": lists[name]}) for name in lists]
    rows = [{"embedding": row, "prompt": "x"} for row in raw.tolist()]
    for path in [*paths, jsonl(tmp_path, *rows)]:
        [chunk] = PromptTable.scan(path, vectors=True).chunks(dim=3)
        assert chunk.vectors is not None
        assert (len(chunk), chunk.prompts, chunk.vectors.dtype) == (4, [], np.float32)
        np.testing.assert_allclose(chunk.vectors, expected, rtol=1e-6)


class TestOneChunk:
    """A chunk by its index; that it is the one of `chunks` is asserted by `content`."""

    def test_of_text_or_beyond_the_end(self, tmp_path: Path) -> None:
        table = PromptTable.scan(parquet(tmp_path / "p.parquet", {"prompt": ["x"]}))
        for index in (1, -1):
            with pytest.raises(IndexError, match=f"chunk {index} is none of 1"):
                table.chunk(index)
        with pytest.raises(ValueError, match="use chunks"):
            PromptTable.scan(csv_file(tmp_path, "prompt", "x")).chunk(0)

    @pytest.mark.usefixtures("small_chunks")
    def test_of_files_that_have_changed(self, tmp_path: Path) -> None:
        path = parquet(tmp_path / "p.parquet", {"prompt": list("abcdefgh")})
        table = PromptTable.scan(path)
        parquet(path, {"prompt": list("abcdef")})
        with pytest.raises(TableError) as caught:
            table.chunk(1)
        assert_one_line(caught.value, "has changed: prompts of chunk 1 were 3, and are 1")
        parquet(path, {"prompt": [1]})
        with pytest.raises(TableError, match="column of type int64"):
            table.chunk(0)

    def test_other_row_groups_are_not_read(self, tmp_path: Path) -> None:
        """They are damaged here."""
        path = tmp_path / "p.parquet"
        texts = [f"{i}" for i in range(3 * module.CHUNK_PROMPTS)]
        pq.write_table(
            pa.table({"prompt": texts}), path, row_group_size=module.CHUNK_PROMPTS,
            use_dictionary=False, write_page_checksum=True,
        )  # fmt: skip
        data = bytearray(path.read_bytes())
        for group in (0, 2):
            place = pq.ParquetFile(path).metadata.row_group(group).column(0).data_page_offset
            data[place + 200 : place + 260] = bytes(60)
        path.write_bytes(data)
        table = PromptTable.scan(path)
        assert table.chunk(1).prompts == texts[module.CHUNK_PROMPTS :][: module.CHUNK_PROMPTS]
        for index in (0, 2):
            with pytest.raises(TableError, match="cannot be read after row"):
                table.chunk(index)


class TestRefused:
    def test_before_any_row_is_read(self, tmp_path: Path) -> None:
        """A column of another type in the last of many files, and the like."""
        at = tmp_path / "parts"
        for i in range(30):
            parquet(at / f"{i:02}.parquet", {"prompt": ["x"]})

        def scan_refused(*parts: str, **columns: Any) -> None:
            parquet(at / "30.parquet", columns)
            with pytest.raises(TableError) as caught:
                PromptTable.scan(at)
            assert_one_line(caught.value, "30.parquet", *parts)

        scan_refused("column 'prompt': found a column of type int64", prompt=[1])
        scan_refused("lacks 'prompt', found 'text'", text=["x"])
        scan_refused("column 'task_id'", "type double", prompt=["x"], task_id=[0.5])
        (at / "30.parquet").write_bytes((at / "00.parquet").read_bytes()[:-9])
        refused(at, "30.parquet: is not a readable Parquet file")
        parquet(at / "30.parquet", {"prompt": ["x"], "task_id": ["t"]})
        refused(at, "00.parquet: lacks 'task_id', which 30.parquet has")
        twice = pa.table([["x"], ["y"]], names=["prompt", "prompt"])
        pq.write_table(twice, at / "30.parquet")
        refused(at, "30.parquet, column 'prompt': the column stands twice")

    def test_no_rows(self, tmp_path: Path) -> None:
        refused(
            parquet(tmp_path / "p.parquet", {"prompt": pa.array([], pa.string())}), "no prompts"
        )
        for path in (jsonl(tmp_path, ""), csv_file(tmp_path, "prompt"), tmp_path / "p.txt"):
            path.touch()
            refused(path, path.name, "holds no prompts")

    def test_no_files(self, tmp_path: Path) -> None:
        (tmp_path / "tasks").mkdir()
        refused(tmp_path, "tasks: the folder holds no Parquet file")
        refused(tmp_path / "tasks", "lacks tasks.parquet")
        for missing in ("gone.parquet", "gone-*.parquet"):
            with pytest.raises(NotFoundError, match=r"gone.*; check|gone.*; check"):
                PromptTable.scan(tmp_path / missing)
        (tmp_path / "notes.md").touch()
        refused(tmp_path / "*.md", "the suffix '.md' is not one of prompts")

    def test_a_page_that_is_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "p.parquet"
        texts = [f"{i} {'x' * 50}" for i in range(4096)]
        pq.write_table(
            pa.table({"prompt": texts}), path, row_group_size=2048, compression="zstd",
            use_dictionary=False, write_page_checksum=True,
        )  # fmt: skip
        data = bytearray(path.read_bytes())
        place = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
        data[place + 200 : place + 260] = bytes(60)
        path.write_bytes(data)
        message = refused(path, "p.parquet")
        assert "cannot be read after row 2048" in message

    def test_rows(self, tmp_path: Path) -> None:
        refused(jsonl(tmp_path, {"prompt": "x"}, {"text": "y"}), "line 2: lacks 'prompt'")
        refused(jsonl(tmp_path, {"prompt": "x"}, {"prompt": 1}), "line 2, column 'prompt'")
        refused(jsonl(tmp_path, {"prompt": "x"}, '{"prompt'), "line 2: is not valid JSON")
        refused(
            jsonl(tmp_path, {"prompt": "x", "task_id": "t"}, {"prompt": "y"}),
            "line 2: lacks 'task_id'",
        )
        half = '{"prompt": "y", "task_id": "\\ud800"}'
        refused(jsonl(tmp_path, {"prompt": "x", "task_id": "t"}, half), "line 2, column 'task_id'")
        refused(csv_file(tmp_path, "prompt,n", "x,1", "y"), "line 3: found 1 cells")
        null = {"prompt": ["x", "y"], "task_id": pa.array(["t", None])}
        refused(parquet(tmp_path / "p.parquet", null), "row 2, column 'task_id': found null")
        raw = pa.array([b"x", b"y", b"\xff"]).view(pa.string())
        refused(parquet(tmp_path / "p.parquet", {"prompt": raw}), "row 3, column 'prompt'", "UTF-8")
        packed = gzip.compress(b'{"prompt": "x"}\n' * 5000)
        (tmp_path / "p.jsonl.gz").write_bytes(packed[:-20])
        refused(tmp_path / "p.jsonl.gz", "is not a readable gzip file")

    @pytest.mark.parametrize(
        ("vectors", "part"),
        [
            ([[1.0, 2.0], [1.0, 2.0, 3.0]], "found a vector of 3 numbers; the artifact takes vect"),
            ([[1.0, 2.0], None], "found no vector"),
            ([[1.0, 2.0], [0.0, 0.0]], "zero length"),
            ([[1.0, 2.0], [0.5, float("nan")]], "not a finite number"),
        ],
    )
    def test_vectors(self, tmp_path: Path, vectors: Any, part: str) -> None:
        path = parquet(tmp_path / "p.parquet", {"embedding": vectors, "prompt": ["x", "y"]})
        refused(path, "row 2, column 'embedding'", part, dim=2)
        rows = [{"embedding": v} for v in vectors]
        if "nan" not in json.dumps(rows).lower():
            refused(jsonl(tmp_path, *rows), "line 2, column 'embedding'", part, dim=2)

    def test_no_vectors(self, tmp_path: Path) -> None:
        refused(parquet(tmp_path / "p.parquet", {"prompt": ["x"]}), "lacks 'embedding'", dim=2)
        columns = {"prompt": ["x"], "embedding": ["x"]}
        refused(parquet(tmp_path / "p.parquet", columns), "found a column of type string", dim=2)
        refused(csv_file(tmp_path, "prompt,embedding", "x,1"), "vectors are not read", dim=2)
        refused(jsonl(tmp_path, {"prompt": "x"}), "line 1: lacks 'embedding'", dim=2)


def test_another_thread_reads_csv_meanwhile(tmp_path: Path) -> None:
    """The limit of csv on cells is one for the process: it is not held between two chunks."""
    path = csv_file(tmp_path, "prompt", *["x"] * 20_000)
    chunks = PromptTable.scan(path).chunks()
    next(chunks)
    read: list[list[str]] = []
    thread = threading.Thread(target=lambda: read.append(read_prompts(path)), daemon=True)
    thread.start()
    thread.join(30)
    assert read
    chunks.close()


def test_memory_does_not_grow_with_a_row_group(tmp_path: Path) -> None:
    """One group of 60 MB: a reader that takes whole columns would hold them."""
    path = tmp_path / "p.parquet"
    rng = np.random.default_rng(0)
    texts = [rng.bytes(2000).hex() for _ in range(15_000)]
    pq.write_table(pa.table({"prompt": texts}), path, compression="none", use_dictionary=False)
    size = path.stat().st_size
    del texts
    before = pa.total_allocated_bytes()
    most = 0
    table = PromptTable.scan(path)
    for piece in table._pieces(module.PromptColumns(task_id=False, dim=None)):
        most = max(most, pa.total_allocated_bytes() - before)
        assert len(piece.rows) <= module._PIECE_ROWS
    assert size > 60_000_000
    assert most < size / 2


@pytest.mark.skipif(not TASKS.is_dir(), reason="threads NOT counted: there is no /proc")
def test_no_thread_reads_ahead(tmp_path: Path) -> None:
    """One that holds a part of the file as Python ends aborts the process."""
    path = parquet(tmp_path / "p.parquet", {"prompt": [str(i) * 50 for i in range(5000)]})
    code = f"""
import os, sys, pyarrow.parquet
from hypernova.table.prompts import PromptTable
before = set(os.listdir({str(TASKS)!r}))
chunk = next(iter(PromptTable.scan(sys.argv[1]).chunks()))
print(len(chunk), len(set(os.listdir({str(TASKS)!r})) - before))
"""
    done = run_python("-c", code, str(path))
    assert (done.stdout, done.stderr) == ("5000 0\n", "")
