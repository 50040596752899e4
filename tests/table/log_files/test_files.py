"""Files that may be logs: their heads, lines, rows and archives, and those that are refused."""

from __future__ import annotations

import gzip
import json
import math
import os
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hypernova.errors import TableError
from hypernova.table.log_files import archive
from hypernova.table.log_files.files import HEAD_BYTES, LogFile
from support.archives import DEFLATED, STORED, ZSTD, write_zip

if TYPE_CHECKING:
    from pathlib import Path

METHODS = pytest.mark.parametrize("method", [STORED, DEFLATED, ZSTD])


def file(folder: Path, content: bytes, name: str = "log.bin") -> LogFile:
    path = folder / name
    path.write_bytes(content)
    return LogFile(path)


def test_the_head_is_unpacked_and_cut(tmp_path: Path) -> None:
    content = os.urandom(3 * HEAD_BYTES)
    assert file(tmp_path, content).head == content[:HEAD_BYTES]
    assert file(tmp_path, gzip.compress(content)).head == content[:HEAD_BYTES]
    assert file(tmp_path, b"").head == b""
    assert LogFile(tmp_path / "absent").head == b""


def test_of_a_gzip_file_that_is_cut_the_head_is_what_can_be_unpacked(tmp_path: Path) -> None:
    content = os.urandom(3 * HEAD_BYTES)
    log = file(tmp_path, gzip.compress(content)[: 2 * HEAD_BYTES])
    assert log.head == content[:HEAD_BYTES]
    assert file(tmp_path, b"\x1f\x8bnonsense").head == b""


def test_a_gzip_file_is_known_by_its_content(tmp_path: Path) -> None:
    line = b'{"a": NaN}\n\n{"a": -Infinity}\n'
    for name, content in (("x.log", gzip.compress(line)), ("x.gz", line)):
        (_, first), (number, last) = file(tmp_path, content, name).objects()
        assert math.isnan(first["a"])
        assert (number, last) == (3, {"a": -math.inf})


@pytest.mark.parametrize(
    ("content", "first", "keys"),
    [
        (b'{"a": 1, "b": NaN}\n{"c": 2}\n', {"a"}, ("a", "b")),
        (b'\xef\xbb\xbf\n {"a": 1}', {"a"}, ("a",)),
        (b'{\n  "a": {"x": 1},\n  "b": [1', None, ("a", "b")),
        (b'{"a": "' + b"x" * HEAD_BYTES + b'", "b": 1}\n', None, ("a",)),
        (b'[\n {"a": 1, "b": 2},\n {"c": 1}]', {"a"}, ("a", "b")),
        (b'{"a": 1, 5', None, ("a",)),
        (b"{}", set(), ()),
        (b"[1, 2]", None, ()),
        (b"5\n", None, ()),
        (b'{"a": ' + b"[" * 50_000, None, ("a",)),
        (b"\xff\xfe{\x00", None, ()),
        (b"task_id,prompt\n", None, ()),
    ],
)
def test_the_object_that_a_file_begins_with(
    tmp_path: Path, content: bytes, first: set[str] | None, keys: tuple[str, ...]
) -> None:
    log = file(tmp_path, content)
    assert log.first_keys == keys
    if first is None:
        assert log.first_object is None
    else:
        assert log.first_object is not None
        assert first <= log.first_object.keys()


def test_objects_are_those_of_lines_or_of_a_list(tmp_path: Path) -> None:
    expected = [{"a": 1}, {"b": "é\u2028"}]
    lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in expected)
    log = file(tmp_path, lines.encode())
    assert list(log.objects()) == list(enumerate(expected, 1))
    assert log.source.place(2) == "line 2"
    log = file(tmp_path, json.dumps(expected, indent=1).encode())
    assert list(log.objects()) == list(log.rows()) == list(enumerate(expected, 1))
    assert log.source.place(2) == "entry 2"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1}\n{"a": 1', "line 2: is cut short"),
        (b'{"a": 1}\n{"a": "\xc3', "line 2: is cut short"),
        (b'{"a": 1\n{"a": 1}\n', "line 1: is not valid JSON .Expecting ',' delimiter"),
        (b'{"a": "\xff"}\n', "line 1: is not valid JSON .no UTF-8"),
        (b"{}\n[1]\n", r"line 2: found \[1\], no JSON object"),
        (b'[{"a": 1}, 5]', "entry 2: found 5"),
        (b'[{"a": 1}, {"a', "cut short"),
        (b"[" * 100_000 + b"\n", "nested too deeply"),
        (b'{"a":' + b"[" * 100_000 + b"\n{}", "nested too deeply"),
        (b'{"a":' + b"9" * 5000 + b"}\n", "line 1: is not valid JSON"),
    ],
)
def test_a_line_that_is_no_object_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(TableError, match=words) as caught:
        list(file(tmp_path, content).objects())
    assert "\n" not in str(caught.value)
    assert "log.bin" in str(caught.value)


def test_rows_of_csv_and_tsv_are_mappings(tmp_path: Path) -> None:
    for separator in (",", "\t", ";"):
        text = separator.join(["id", "input"]) + "\n" + separator.join(["1", '"a\nb"']) + "\n"
        log = file(tmp_path, b"\xef\xbb\xbf" + text.encode())
        assert log.columns == ("id", "input")
        assert list(log.rows()) == [(2, {"id": "1", "input": "a\nb"})]
    with pytest.raises(TableError, match="line 2: found 1 cells"):
        list(file(tmp_path, b"a,b\n1\n").rows())


def test_rows_of_parquet_are_mappings(tmp_path: Path) -> None:
    rows = [{"id": n, "input": None if n % 7 else f"text {n}"} for n in range(1000)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.csv")  # the name does not count
    log = LogFile(tmp_path / "x.csv")
    assert log.columns == ("id", "input")
    assert list(log.rows()) == list(enumerate(rows, 1))
    assert log.source.place(3) == "row 3"
    content = (tmp_path / "x.csv").read_bytes()
    cut = file(tmp_path, content[:-100])
    assert cut.columns == ()
    with pytest.raises(TableError, match="not a readable Parquet file"):
        list(cut.rows())


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\x00a,b", b"PK\x03\x04,a", b"a,a\n"])
def test_files_of_another_kind_have_no_columns(tmp_path: Path, content: bytes) -> None:
    assert file(tmp_path, content).columns == ()


@METHODS
def test_entries_of_an_archive_are_read(tmp_path: Path, method: int) -> None:
    large = b"0123456789abcdef" * 200_000
    entries = {"header.json": b"{}", "a/é.json": b'{"a": NaN}', "empty": b"", "large": large}
    path = tmp_path / "log.eval"
    write_zip(path, entries, method)
    log = LogFile(path)
    assert log.entries == tuple(entries)
    assert log.entry_size("large") == len(large)
    for name, content in entries.items():
        with log.open_entry(name, len(large)) as opened:
            assert opened.read() == content
    with log.open_entry("large", len(large)) as opened:
        assert opened.read(20) == large[:20]


def test_python_reads_the_archives_that_these_tests_write(tmp_path: Path) -> None:
    for method in (STORED, DEFLATED):
        write_zip(tmp_path / "x.zip", {"a": b"abc" * 99}, method)
        with zipfile.ZipFile(tmp_path / "x.zip") as found:
            assert found.read("a") == b"abc" * 99


@METHODS
@pytest.mark.parametrize("n", [1000, 2_000_000])
def test_an_archive_cut_or_changed_anywhere_is_an_error(
    tmp_path: Path, method: int, n: int
) -> None:
    write_zip(tmp_path / "x.zip", {"a": os.urandom(n)}, method)
    content = (tmp_path / "x.zip").read_bytes()
    for end in (5, 40, len(content) // 2, len(content) - 60, len(content) - 1):
        log = file(tmp_path, content[:end])
        assert log.entries == ()
        with pytest.raises(TableError, match="may be cut short"):
            log.open_entry("a", n)
    for at in (45, len(content) // 2):
        changed = bytearray(content)
        changed[at] ^= 0x55
        with (
            pytest.raises(TableError, match=r"entry a: (is damaged|cannot be unpacked|unpacks)"),
            file(tmp_path, bytes(changed)).open_entry("a", n) as opened,
        ):
            opened.read()


def test_what_is_no_archive_has_no_entries(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04", b"PK\x05\x06", b"text"):
        log = file(tmp_path, content)
        assert log.entries == ()
        with pytest.raises(TableError, match="ZIP archive"):
            log.open_entry("a", 5)


@METHODS
def test_a_bomb_is_refused_by_what_it_states_and_by_what_it_unpacks_to(
    tmp_path: Path, method: int
) -> None:
    bomb = bytes(64 << 20)
    path = tmp_path / "bomb.zip"
    write_zip(path, {"a": bomb}, method)
    with pytest.raises(TableError, match="unpacks to 64 MiB; at most 1 MiB are read"):
        LogFile(path).open_entry("a", 1 << 20)
    for lie in (10, 1 << 21):
        write_zip(path, {"a": bomb}, method, sizes={"a": lie})
        tracemalloc.start()
        with (
            pytest.raises(TableError, match=r"entry a: (unpacks to more|cannot be unpacked)"),
            LogFile(path).open_entry("a", 1 << 22) as opened,
        ):
            opened.read()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 16 << 20


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_GZIP_FREE", 1 << 20)
    log = file(tmp_path, gzip.compress(b'{"a": 1}\n' + b"\n" * (1 << 26)))
    assert log.first_object == {"a": 1}
    with pytest.raises(TableError, match="250 times its size"):
        list(log.objects())


@pytest.mark.parametrize("method", [1, 12, 99])
def test_an_entry_packed_in_another_way_is_refused(tmp_path: Path, method: int) -> None:
    write_zip(tmp_path / "x.zip", {"a": b"abc"}, method)
    with pytest.raises(TableError, match=f"packed by method {method}"):
        LogFile(tmp_path / "x.zip").open_entry("a", 5)


def test_an_encrypted_entry_and_an_absent_one_are_refused(tmp_path: Path) -> None:
    write_zip(tmp_path / "x.zip", {"a": b"abc"}, STORED, flags=1)
    log = LogFile(tmp_path / "x.zip")
    with pytest.raises(TableError, match="entry a: is encrypted"):
        log.open_entry("a", 5)
    with pytest.raises(TableError, match="lacks the entry 'b', found 'a'"):
        log.open_entry("b", 5)


def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "absent\nfile")
    with pytest.raises(TableError, match=r"absent\\nfile: cannot be opened"):
        list(log.objects())


def test_a_line_of_more_parts_than_memory_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": [' + "[]," * 3_000_000 + "[]]}\n")
    objects = LogFile(path).objects()
    assert next(objects) == (1, {"a": 1})
    with pytest.raises(TableError, match="line 2: holds more than 4000000 parts; leave the log"):
        next(objects)
