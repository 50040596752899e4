"""JSON read in pieces: the same values as json.loads, however the bytes arrive."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypernova.errors import TableError
from hypernova.table.log_files.json_stream import walk
from hypernova.table.source import Source

SOURCE = Source("log.json", "line")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text()
    | st.sampled_from(["\U0001f600", "\\", '"', "é\u2028", -1.5e-7, 1e300])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)


class Pieces(io.RawIOBase):
    """A file whose reads end at given places, and otherwise give what is asked for."""

    def __init__(self, content: bytes, ends: list[int]) -> None:
        self.content = content
        self.ends = sorted(ends)
        self.at = 0

    def read(self, size: int = -1) -> bytes:
        end = next((e for e in self.ends if e > self.at), len(self.content))
        data = self.content[self.at : min(end, self.at + size)]
        self.at += len(data)
        return data


def walked(content: bytes, *streamed: str, ends: list[int] | None = None, **more: Any) -> list:
    return list(walk(Pieces(content, ends or []), SOURCE, *streamed, **more))


def same(a: object, b: object) -> bool:
    return repr(a) == repr(b)  # NaN is itself, and 1 is not 1.0


@given(
    st.dictionaries(st.text(), VALUES, max_size=4),
    st.lists(VALUES, max_size=4),
    st.sampled_from([None, 1]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_every_cut_between_reads_gives_the_values_of_json_loads(
    others: dict, entries: list, indent: int | None, ascii_only: bool
) -> None:
    document = {**others, "results": {"a": 1.5, "results": entries, "z": None}}
    content = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode(
        "utf-8", "surrogatepass"
    )
    try:
        content.decode()
    except UnicodeDecodeError:
        return  # a lone surrogate has no UTF-8
    loaded = json.loads(content)
    expected = []
    for key, value in loaded.items():
        if key == "results":
            expected += [("results.a", 1.5)]
            expected += [("results.results", entry) for entry in value["results"]]
            expected += [("results.z", None)]
        else:
            expected.append((key, value))
    assert same(walked(content, "results.results", early=True), expected)
    for end in range(len(content) + 1):
        assert same(walked(content, "results.results", ends=[end]), expected)
    assert same(walked(content, "results.results", ends=list(range(1, len(content)))), expected)


@given(st.dictionaries(st.text(min_size=1), VALUES, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_document_cut_anywhere_is_an_error_of_one_line(document: dict) -> None:
    content = json.dumps(document).encode()
    for end in range(len(content)):
        with pytest.raises(TableError, match="cut short") as caught:
            walked(content[:end], "x")
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("log.json, line 1: ")


def test_a_streamed_object_yields_its_entries_under_path_and_key() -> None:
    content = b'{"v": 3, "o": {"a": [1], "b": {"c": NaN}}, "n": null}'
    found = walked(content, "o", "n")
    assert found[:2] == [("v", 3), ("o.a", [1])]
    assert found[2][0] == "o.b"
    assert str(found[2][1]) == "{'c': nan}"
    assert found[3] == ("n", None)


def test_a_document_that_is_a_list_is_walked_where_the_empty_path_is_streamed() -> None:
    assert walked(b' [1, {"a": 2}] ', "") == [("", 1), ("", {"a": 2})]
    assert walked(b"[]", "") == []
    with pytest.raises(TableError, match="does not begin with a JSON object"):
        walked(b"[1]", "a")


def test_a_byte_order_mark_and_infinities_are_read() -> None:
    assert walked(b'\xef\xbb\xbf{"a": -Infinity, "b": Infinity}') == [
        ("a", float("-inf")),
        ("b", float("inf")),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cut short"),
        (b"  \n ", "line 2: is cut short"),
        (b"nonsense", "begin with a JSON object"),
        (b'{"a": 1} x', "goes on after its JSON"),
        (b'{"a": 1}\n{"a": 2}', "line 2: .*goes on after its JSON"),
        (b'{"a" 1}', "lacks a colon"),
        (b"{1: 1}", "a key that is no text"),
        (b'{"a": [1, 2}}' + b" " * 50, "delimiter"),
        (b'{"a": nope}' + b" " * 50, "Expecting value"),
        (b'{"a": "\xff"}', "not valid UTF-8"),
        (b'{"a": ' + b"[" * 200_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"a": 1]', "lacks a comma or a bracket"),
        (b'{"a": "' + b"x" * 3000 + b'"}', "more than 1000 bytes"),
    ],
)
def test_what_is_no_json_is_named_with_its_line(content: bytes, words: str) -> None:
    for early in (False, True):
        with pytest.raises(TableError, match=words) as caught:
            walked(content, "b", max_value=1000, early=early)
        assert "\n" not in str(caught.value)


def test_a_malformed_document_is_refused_without_reading_the_rest() -> None:
    class Endless(io.RawIOBase):
        n_bytes = 0

        def read(self, size: int = -1) -> bytes:
            self.n_bytes += size
            return b'{"a": [1 2' + b"x" * (size - 10)

    file = Endless()
    with pytest.raises(TableError, match="delimiter"):
        list(walk(file, SOURCE))
    assert file.n_bytes <= 1 << 20


def test_no_more_is_held_of_a_value_that_is_too_large_than_may_be() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1, /) -> bytes:
            self.given += size
            return b'{"a": "'.ljust(size, b"x") if self.given == size else b"x" * size

    file = Endless()
    limit = 3 << 20
    with pytest.raises(TableError, match="holds a value of more than 3145728 bytes"):
        list(walk(file, SOURCE, max_value=limit))  # type: ignore[arg-type]
    assert file.given < limit + (320 << 10)


@pytest.mark.parametrize("part", ["[],", '{"":{}},', "0,"])
def test_a_value_of_more_parts_than_memory_holds_is_refused(part: str) -> None:
    content = ('{"a": [' + part * 9_000_000)[: 12 << 20].encode()
    with pytest.raises(TableError, match="line 1: holds a value of more than 4000000 parts; leave"):
        walked(content)
    # A long text with its commas is read.
    text = "some words, " * (1 << 20)
    ((_, found),) = walk(io.BytesIO(json.dumps({"a": [text]}).encode()[:-2] + b"]}"), SOURCE, "a")
    assert found == text


def test_time_grows_with_the_document_not_with_its_square() -> None:
    def seconds(n: int) -> float:
        content = json.dumps({"a": ["x" * 50] * n, "b": "y" * 60 * n}).encode()
        begun = time.perf_counter()
        walked(content)
        return time.perf_counter() - begun

    seconds(1000)
    small = min(seconds(40_000) for _ in range(3))
    # A square would be a hundredfold.
    assert min(seconds(400_000) for _ in range(2)) < 40 * small
