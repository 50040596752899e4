"""A file or a folder is replaced whole, or stays as it was.

Not here: what the commands say of a path (`tests/cli/test_outputs.py`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from hypernova.errors import TableWriteError, TextError, WriteError
from hypernova.paths import check_file, make_folder, replacing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_file_is_replaced_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".hypernova-")
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_takes_the_place_of_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "file").write_bytes(b"new")
    assert (path / "file").read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(28, "No space left on device"), TableWriteError),
        (TextError("text 3 is empty"), TextError),
        (WriteError("said already"), WriteError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=lambda value: "" if isinstance(value, type) else type(value).__name__,
)
def test_an_error_removes_the_temporary_and_leaves_the_old(
    tmp_path: Path, folder: bool, error: BaseException, expected: type[BaseException]
) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def write() -> None:
        with replacing(path, TableWriteError) as temporary:
            if folder:
                temporary.mkdir()
            (temporary / "file" if folder else temporary).write_bytes(b"half")
            raise error

    with pytest.raises(expected) as caught:
        write()
    assert caught.type is expected
    if isinstance(error, OSError) and expected is TableWriteError:
        assert str(caught.value).startswith(f"{path}: cannot be written (No space left on device)")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_makes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="cannot be written"), replacing(tmp_path / "out"):
        pass


def test_a_folder_is_made_or_found_to_be_writable(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        assert make_folder(folder) == folder
        assert list(folder.iterdir()) == []
    (tmp_path / "file").write_text("mine")
    with pytest.raises(WriteError, match="file is a file; name a folder"):
        make_folder(tmp_path / "file")
    for wrong in (tmp_path / "file" / "below", tmp_path / "null\0byte", "/proc/self/none"):
        with pytest.raises(WriteError, match=r"cannot be written|lies in a file; name"):
            make_folder(wrong)


def write_half(path: Path) -> None:
    with replacing(path) as temporary, temporary.open("xb") as file:
        file.write(b"half")


@pytest.mark.parametrize("work", [check_file, write_half])
@pytest.mark.parametrize("name", ["open", "write", "close", "replace", "unlink"])
@pytest.mark.parametrize("after", [False, True])
def test_a_signal_at_any_call_leaves_no_temporary(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[Path], object],
    name: str,
    after: bool,
) -> None:
    """A handler raises before a call of the system or after it, once: then it is being handled."""
    called, left = getattr(os, name), [1]

    def interrupted(*arguments: object, **options: object) -> object:
        if left and not after:
            left.pop()
            raise KeyboardInterrupt
        result = called(*arguments, **options)
        if left:
            left.pop()
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(os, name, interrupted)
    try:
        work(tmp_path / "out")
    except KeyboardInterrupt:
        assert not left
    assert [path.name for path in tmp_path.iterdir()] in ([], ["out"])


@pytest.mark.parametrize("take", [check_file, make_folder])
def test_an_empty_path_is_no_folder(take: Callable[[str], Path], tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WriteError, match="the path is empty; name a f"):
        take("")
    assert list(tmp_path.iterdir()) == []
