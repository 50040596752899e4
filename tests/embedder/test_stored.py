"""Vectors that are kept in a folder come back to the bit, and nothing in the folder can hurt.

Not here: vectors themselves (`test_embedder.py`), and the cache in memory (`test_cache.py`).
"""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypernova.embedder import (
    CachedEmbedder,
    CallableEmbedder,
    Embedder,
    SharedPart,
    SharedParts,
    SkipSharedEmbedder,
    StoredEmbedder,
    TextEmbedder,
    store_vectors,
)
from hypernova.embedder.stored import embedder as stored_embedder
from hypernova.embedder.stored import store
from hypernova.embedder.stored.index import KeyIndex
from hypernova.embedder.stored.vector_file import VectorFile
from hypernova.errors import EmbedderError, TextError, WriteError
from support.commands import run_python
from support.processes import hashed, hashed_4

if TYPE_CHECKING:
    from collections.abc import Iterator

STATIC = Embedder.load("static")
TEXTS = [f"Sort list {i} by {'name ' * (i % 40)}" for i in range(300)]
DIM = 6


class Counted:
    """A function as users have them, which remembers what it was asked for."""

    def __init__(self, dim: int = DIM) -> None:
        self.asked: list[str] = []
        self.dim = dim

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.asked += texts
        return hashed(self.dim, texts)


def counted(function: Counted, **options: Any) -> CallableEmbedder:
    return CallableEmbedder(function, **({"name": "counted", "dim": function.dim} | options))


def stored(folder: Path, **options: Any) -> tuple[StoredEmbedder, list[str]]:
    """Open a store anew, as another run does, with the list of the texts that it embeds."""
    function = Counted()
    return StoredEmbedder(counted(function, **options), folder), function.asked


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.vectors"))


def equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


class TestVectors:
    @pytest.mark.parametrize("name", ["static", "minilm"])
    def test_they_come_back_to_the_bit_and_are_those_of_the_embedder(
        self, name: str, tmp_path: Path
    ) -> None:
        embedder, texts = Embedder.load(name), TEXTS[: 300 if name == "static" else 20]
        expected = embedder.embed(texts)
        first = StoredEmbedder(embedder, tmp_path)
        assert equal(first.embed(texts), expected)
        assert equal(first.embed(texts), expected)
        again = StoredEmbedder(embedder, tmp_path)
        assert equal(again.embed(texts), expected)
        assert equal(again.embed(texts[::-1]), expected[::-1])
        assert equal(again.embed_one(texts[3]), expected[3])

    def test_more_than_one_window_and_one_part_are_those_of_one_call(self, tmp_path: Path) -> None:
        texts = [f"{word} {i}" for i in range(4_200) for word in ("sort the list", "join")]
        expected = STATIC.embed(texts)
        assert equal(StoredEmbedder(STATIC, tmp_path).embed(texts), expected)
        assert equal(StoredEmbedder(STATIC, tmp_path).embed(texts), expected)
        assert len(files_in(tmp_path)) == 2

    def test_the_second_run_embeds_nothing(self, tmp_path: Path) -> None:
        first, asked = stored(tmp_path)
        vectors = first.embed(TEXTS)
        assert asked == TEXTS
        second, asked = stored(tmp_path)
        assert equal(second.embed(TEXTS), vectors)
        assert equal(second.embed([*TEXTS[5:9], "a new text"])[:4], vectors[5:9])
        assert asked == ["a new text"]

    def test_a_repeated_text_is_embedded_once(self, tmp_path: Path) -> None:
        first, asked = stored(tmp_path)
        vectors = first.embed(["a", "b", "a", "a", "c", "b"])
        assert asked == ["a", "b", "c"]
        assert equal(vectors, counted(Counted()).embed(["a", "b", "a", "a", "c", "b"]))
        second, asked = stored(tmp_path)
        assert equal(second.embed(["c", "a", "c", "a", "b"]), vectors[[4, 0, 4, 0, 1]])
        assert asked == []

    def test_one_text_is_looked_up_and_not_kept(self, tmp_path: Path) -> None:
        first, asked = stored(tmp_path)
        first.embed_one("a")
        first.embed_one("a")
        assert asked == ["a", "a"]
        assert files_in(tmp_path) == []
        first.embed(["a"])
        first.embed_one("a")
        assert asked == ["a"] * 3

    def test_no_texts(self, tmp_path: Path) -> None:
        assert stored(tmp_path)[0].embed([]).shape == (0, DIM)
        assert files_in(tmp_path) == []

    def test_a_returned_vector_can_be_changed_and_the_kept_one_stays(self, tmp_path: Path) -> None:
        embedder, _ = stored(tmp_path)
        vectors = embedder.embed(["a", "b"])
        before = vectors.copy()
        vectors[:] = 7
        found = embedder.embed(["a", "b"])
        assert equal(found, before)
        found[:] = 7
        assert equal(embedder.embed(["a", "b"]), before)

    @settings(max_examples=60)
    @given(
        calls=st.lists(
            st.lists(
                st.sampled_from(["a", "b", "c" * 300, "ü", "\ud800", "x\ud800", "語", "a "]),
                max_size=9,
            ),
            max_size=6,
        ),
        anew=st.lists(st.booleans(), min_size=6, max_size=6),
    )
    def test_any_calls_in_any_order(
        self, calls: list[list[str]], anew: list[bool], tmp_path_factory: Any
    ) -> None:
        folder = tmp_path_factory.mktemp("any")
        plain = counted(Counted())
        embedder, asked = stored(folder)
        all_asked: list[str] = []
        for texts, begin in zip(calls, anew, strict=False):
            if begin:
                embedder._store.flush()  # as the end of a process does
                all_asked += asked
                embedder, asked = stored(folder)
            ticks: list[int] = []
            assert equal(embedder.embed(texts, progress=ticks.append), plain.embed(texts))
            assert sum(ticks) == len(texts)
        all_asked += asked
        assert sorted(all_asked) == sorted({text for texts in calls for text in texts})


class TestIdentity:
    def test_it_is_that_of_the_inner_embedder(self, tmp_path: Path) -> None:
        embedder = StoredEmbedder(STATIC, tmp_path)
        for name in ("name", "dim", "identity", "fingerprint"):
            assert getattr(embedder, name) == getattr(STATIC, name)
        long = "Fix this. " * 900
        assert embedder.cut(long) == STATIC.cut(long)
        assert embedder.key_of(long) == STATIC.key_of(long)
        assert embedder.read_spans(long) == STATIC.read_spans(long)
        assert embedder._innermost() is STATIC
        assert embedder.folder == tmp_path
        assert [path.name for path in tmp_path.iterdir()] == [STATIC.fingerprint]

    def test_vectors_of_another_embedder_do_not_mix(self, tmp_path: Path) -> None:
        one, asked = stored(tmp_path, name="one")
        one.embed(["a"])
        two, asked = stored(tmp_path, name="two")
        two.embed(["a"])
        assert asked == ["a"]
        # Nor if somebody puts a file into the wrong folder.
        three, asked = stored(tmp_path, name="three")
        shutil.copy(files_in(tmp_path)[0], tmp_path / three.fingerprint)
        three.embed(["a"])
        assert asked == ["a"]

    def test_shared_parts_are_left_out_before_a_text_is_looked_up(self, tmp_path: Path) -> None:
        parts = SharedParts([SharedPart.from_text("start", "You are careful.")])
        function = Counted()
        skipping = SkipSharedEmbedder(counted(function), parts)
        embedder = store_vectors(skipping, tmp_path)
        assert isinstance(embedder, SkipSharedEmbedder)
        assert embedder.fingerprint == skipping.fingerprint
        embedder.embed(["You are careful. Sort", "Sort", "Join"])
        assert function.asked == ["Sort", "Join"]
        # Around it, it is the same for a text, and for a folder another embedder.
        around = StoredEmbedder(skipping, tmp_path)
        assert equal(around.embed(["You are careful. Sort"]), embedder.embed(["Sort"]))
        assert around.fingerprint == skipping.fingerprint

    def test_a_cache_goes_around_it_or_within(self, tmp_path: Path) -> None:
        function = Counted()
        around = CachedEmbedder(StoredEmbedder(counted(function), tmp_path), 10)
        within = StoredEmbedder(CachedEmbedder(counted(function), 10), tmp_path)
        assert equal(around.embed(TEXTS), within.embed(TEXTS))
        assert function.asked == TEXTS

    def test_one_folder_in_one_place(self, tmp_path: Path) -> None:
        first, _ = stored(tmp_path)
        parts = SharedParts([SharedPart.from_text("start", "You are careful.")])
        for embedder in (first, CachedEmbedder(first, 3), SkipSharedEmbedder(first, parts)):
            with pytest.raises(ValueError, match=r"keeps its vectors in .* already"):
                StoredEmbedder(embedder, tmp_path / "other")
        with pytest.raises(TypeError, match="embedder is str"):
            StoredEmbedder("static", tmp_path)  # type: ignore[arg-type]


class TestFolder:
    def test_a_relative_folder_stays_where_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        embedder, _ = stored(Path("deep/vectors"))
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        embedder.embed(["a"])
        assert len(files_in(tmp_path / "deep" / "vectors")) == 1
        assert list((tmp_path / "other").iterdir()) == []

    def test_a_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_text("mine")
        for folder in (path, path / "below"):
            with pytest.raises(WriteError, match=r"file.*(is|lies in) a file; name a") as caught:
                stored(folder)
            assert "\n" not in str(caught.value)
        assert path.read_text() == "mine"
        with pytest.raises(WriteError):
            stored(tmp_path / "null\0byte")

    def test_a_folder_that_cannot_be_written_is_refused_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(WriteError, match="cannot be written"):
            stored(Path("/proc/self/vectors"))
        if os.geteuid() == 0:
            pytest.skip("root may write in every folder; /proc alone was tried")
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o555)
        with pytest.raises(WriteError, match="Permission denied"):
            stored(closed)

    def test_files_have_the_rights_that_the_user_gives(self, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            stored(tmp_path / "vectors")[0].embed(["a"])
        finally:
            os.umask(before)
        modes = {path: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
        assert {0o640 if path.is_file() else 0o750 for path in modes} == set(modes.values())
        assert modes[files_in(tmp_path / "vectors")[0]] == 0o640

    def test_it_takes_four_bytes_a_number_and_36_a_text(self, tmp_path: Path) -> None:
        StoredEmbedder(STATIC, tmp_path).embed(TEXTS)
        [path] = files_in(tmp_path)
        assert path.stat().st_size == 96 + len(TEXTS) * (4 * STATIC.dim + 36)

    @pytest.mark.parametrize("what", ["everything", "fingerprint", "files"])
    def test_it_may_be_deleted_between_calls(self, what: str, tmp_path: Path) -> None:
        folder = tmp_path / "vectors"
        embedder, asked = stored(folder)
        vectors = embedder.embed(TEXTS)
        if what == "everything":
            shutil.rmtree(folder)
        elif what == "fingerprint":
            shutil.rmtree(folder / embedder.fingerprint)
        else:
            files_in(folder)[0].unlink()
        assert equal(embedder.embed(TEXTS), vectors)
        assert asked == TEXTS * 2
        second, asked = stored(folder)
        assert equal(second.embed(TEXTS), vectors)
        assert asked == []

    def test_it_may_be_deleted_at_any_moment(self, tmp_path: Path) -> None:
        folder, stop = tmp_path / "vectors", False

        def delete() -> None:
            while not stop:
                shutil.rmtree(folder, ignore_errors=True)

        expected = counted(Counted()).embed(TEXTS)
        embedder, _ = stored(folder)
        with ThreadPoolExecutor(1) as pool:
            deleted = pool.submit(delete)
            try:
                for _ in range(30):
                    assert equal(embedder.embed(TEXTS), expected)
            finally:
                stop = True
            deleted.result(60)

    def test_many_small_calls_make_few_files(self, tmp_path: Path) -> None:
        embedder, asked = stored(tmp_path)
        for i in range(0, 600, 2):
            embedder.embed([f"text {i}", f"text {i + 1}"])
            embedder.embed([f"text {i}"])  # found, though no file has it yet
        assert len(asked) == 600
        assert len(files_in(tmp_path)) <= 4
        embedder._store.flush()
        again, asked = stored(tmp_path)
        again.embed([f"text {i}" for i in range(600)])
        assert asked == []

    def test_the_end_of_a_process_writes_the_rest(self, tmp_path: Path) -> None:
        program = f"""
from contextlib import contextmanager
from functools import partial
from hypernova.embedder import CallableEmbedder, StoredEmbedder
from support.processes import hashed, hashed_4
function = CallableEmbedder(partial(hashed, {DIM}), name="counted", dim={DIM})
stored = StoredEmbedder(function, {str(tmp_path)!r})
for text in "abcde":
    stored.embed([text])
"""
        run_python("-c", program, code=0, env=environment())
        embedder, asked = stored(tmp_path)
        embedder.embed(list("abcde"))
        assert asked == []
        assert len(files_in(tmp_path)) == 2

    def test_what_a_killed_process_began_is_removed_after_a_day(self, tmp_path: Path) -> None:
        embedder, _ = stored(tmp_path)
        own = tmp_path / embedder.fingerprint
        old, new, foreign = (
            own / name for name in (".hypernova-0a.part", ".hypernova-0b.part", "notes")
        )
        for path in (old, new, foreign):
            path.write_text("half")
        for path in (old, foreign):
            os.utime(path, (time.time() - 90_000,) * 2)
        embedder.embed(["a"])
        assert not old.exists()
        assert new.exists()
        assert foreign.exists()


class TestDamage:
    @pytest.fixture
    def kept(self, tmp_path: Path) -> tuple[Path, np.ndarray]:
        """One file with the vectors of all texts."""
        vectors = stored(tmp_path)[0].embed(TEXTS)
        [path] = files_in(tmp_path)
        return path, vectors

    def check(self, folder: Path, vectors: np.ndarray) -> list[str]:
        """Embed as another run does; return the texts that were embedded again."""
        embedder, asked = stored(folder)
        assert equal(embedder.embed(TEXTS), vectors)
        # A third run has all of them, wherever they are.
        third, asked_again = stored(folder)
        assert equal(third.embed(TEXTS), vectors)
        assert asked_again == []
        return asked

    @pytest.mark.parametrize("size", [0, 1, 95, 96, 97, 5_000, -10_000, -1])
    def test_a_file_that_was_cut_short_is_not_used(
        self, kept: tuple[Path, np.ndarray], size: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        path, vectors = kept
        data = path.read_bytes()
        path.write_bytes(data[:size])
        assert self.check(path.parents[1], vectors) == TEXTS
        assert f"{path}: not used: it is damaged" in caplog.text

    @pytest.mark.parametrize("bit", [0, 1, 7])
    def test_a_flipped_bit_costs_no_more_than_the_file_and_changes_no_vector(
        self, kept: tuple[Path, np.ndarray], bit: int
    ) -> None:
        path, vectors = kept
        data = path.read_bytes()
        n_header = 96 + 32 * len(TEXTS)
        row_bytes = 4 * (DIM + 1)
        for at in [*range(0, 96, 5), 100, n_header - 1, n_header, n_header + 30, len(data) - 1]:
            for other in files_in(path.parents[1]):
                other.unlink()
            path.write_bytes(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
            asked = self.check(path.parents[1], vectors)
            if at < n_header:
                assert asked == TEXTS, at
            else:
                assert asked == [TEXTS[(at - n_header) // row_bytes]], at

    def test_damage_while_the_file_is_in_use(
        self, kept: tuple[Path, np.ndarray], caplog: pytest.LogCaptureFixture
    ) -> None:
        path, vectors = kept
        embedder, asked = stored(path.parents[1])
        assert equal(embedder.embed(TEXTS), vectors)
        assert asked == []
        data = path.read_bytes()
        path.write_bytes(data[:-40])
        assert equal(embedder.embed_one(TEXTS[0]), vectors[0])
        assert equal(embedder.embed_one(TEXTS[-1]), vectors[-1])
        assert asked == [TEXTS[-1]]
        path.write_bytes(bytes(len(data)))
        assert equal(embedder.embed(TEXTS), vectors)
        assert asked == [TEXTS[-1], *TEXTS]
        assert caplog.text.count("damaged") == 1

    def test_rows_in_the_place_of_others_are_not_taken(self, kept: tuple[Path, np.ndarray]) -> None:
        path, vectors = kept
        data, at, size = path.read_bytes(), 96 + 32 * len(TEXTS), 4 * (DIM + 1)
        swapped = data[at + size : at + 2 * size] + data[at : at + size]
        path.write_bytes(data[:at] + swapped + data[at + 2 * size :])
        assert self.check(path.parents[1], vectors) == TEXTS[:2]

    def test_keys_with_the_same_head_are_told_apart(self, tmp_path: Path) -> None:
        """Eight equal bytes, which no two texts have in practice."""
        keys = [bytes(8) + bytes([i]) * 24 for i in range(5)]
        vectors = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
        first = store.VectorStore(tmp_path, "ab" * 32, 3)
        first.keep(keys[:2], vectors[:2])
        first.keep(keys[2:4], vectors[2:4])
        for other in (first, store.VectorStore(tmp_path, "ab" * 32, 3)):
            found = np.zeros((5, 3), dtype=np.float32)
            there = other.find(stored_embedder._key_array(keys), found, look=True)
            assert there.tolist() == [True] * 4 + [False]
            assert equal(found[:4], vectors[:4])

    def test_other_things_in_the_folder_are_left_alone(self, kept: tuple[Path, np.ndarray]) -> None:
        path, vectors = kept
        (path.parent / "folder.vectors").mkdir()
        os.mkfifo(path.parent / "pipe.vectors")
        (path.parent / "link.vectors").symlink_to("nowhere")
        (path.parent / "pickle.vectors").write_bytes(pickle.dumps(vectors))
        (path.parents[1] / "readme").write_text("mine")
        assert self.check(path.parents[1], vectors) == []
        assert (path.parents[1] / "readme").read_text() == "mine"


class TestFullDisk:
    def test_embedding_goes_on_with_one_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        embedder, asked = stored(tmp_path)
        expected = counted(Counted()).embed(TEXTS)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, hard))
        try:
            for _ in range(3):
                assert equal(embedder.embed(TEXTS), expected)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert asked == TEXTS * 3
        [record] = caplog.records
        assert record.getMessage() == (
            f"{tmp_path / embedder.fingerprint}: vectors cannot be kept now (File too large); "
            "embedding goes on"
        )
        assert list((tmp_path / embedder.fingerprint).iterdir()) == []
        embedder._store._write_again_at = 0.0  # a minute later
        embedder.embed(TEXTS)
        embedder.embed(TEXTS)
        assert asked == TEXTS * 4

    def test_a_disk_that_is_full(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with memory_disk(tmp_path / "disk", "size=64k") as disk:
            embedder = StoredEmbedder(STATIC, disk)
            assert equal(embedder.embed(TEXTS), STATIC.embed(TEXTS))
            [record] = caplog.records
            assert "vectors cannot be kept now (No space left on device)" in record.getMessage()
            assert files_in(disk) == []
            # A process that is sent the embedder now does not end for want of space.
            with pytest.raises(OSError, match="No space left"):
                (disk / "fill").write_bytes(bytes(100_000))
            stored_embedder._unpickled._clear()
            unpickled = pickle.loads(pickle.dumps(embedder))
            assert equal(unpickled.embed(TEXTS[:9]), STATIC.embed(TEXTS[:9]))
            with pytest.raises(WriteError, match="No space left"):
                StoredEmbedder(STATIC, disk)

    def test_a_disk_that_cannot_be_written_to(self, tmp_path: Path) -> None:
        with (
            memory_disk(tmp_path / "disk", "ro") as disk,
            pytest.raises(WriteError, match="Read-only") as caught,
        ):
            StoredEmbedder(STATIC, disk)
        assert "\n" not in str(caught.value)


@contextmanager
def memory_disk(at: Path, options: str) -> Iterator[Path]:
    """Mount a disk in memory, or skip the test where it may mount none."""
    at.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", at]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk of its own: mounting one takes root and CAP_SYS_ADMIN")
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)


class TestFailures:
    """A text that fails is named, and what was embedded before it is kept."""

    def test_a_function_that_fails_on_one_text(self, tmp_path: Path) -> None:
        def fails(texts: list[str]) -> np.ndarray:
            asked.append(len(texts))
            if "bad" in texts:
                raise LookupError("no vector")
            return hashed(DIM, texts)

        asked: list[int] = []
        texts = [f"text {i}" for i in range(1000)]
        texts[700] = "bad"
        make = partial(CallableEmbedder, name="counted", dim=DIM, batch=50)
        with pytest.raises(LookupError, match="no vector") as caught:
            StoredEmbedder(make(fails), tmp_path).embed(texts)
        assert caught.value.__notes__ == [
            "the callable embedder 'counted' was called with 50 texts (700 to 749)"
        ]
        assert sum(asked) == 750
        texts[700] = "good"
        embedder, asked_again = stored(tmp_path, batch=50)
        assert equal(embedder.embed(texts), make(partial(hashed, DIM)).embed(texts))
        assert asked_again == texts[700:]

    def test_a_number_that_is_not_finite(self, tmp_path: Path) -> None:
        def broken(texts: list[str]) -> np.ndarray:
            vectors = hashed(DIM, texts)
            vectors[[text == "bad" for text in texts]] = np.nan
            return vectors

        texts = [f"text {i}" for i in range(1000)]
        texts[703] = "bad"
        embedder = CallableEmbedder(broken, name="counted", dim=DIM, batch=50)
        with pytest.raises(EmbedderError, match="not finite for text 812703"):
            StoredEmbedder(embedder, tmp_path)._embed_indexed(texts, range(812_000, 813_000), None)
        again, asked = stored(tmp_path)
        again.embed(texts)
        assert asked == texts[700:]

    def test_a_text_without_a_token(self, tmp_path: Path) -> None:
        texts = [f"sort the list {i}" for i in range(5_000)]
        texts[4_500] = "\ue000"
        with pytest.raises(TextError, match=r"text 4500 holds no token that 'static' knows of"):
            StoredEmbedder(STATIC, tmp_path).embed(texts)
        ticks: list[int] = []
        texts[4_500] = "sort"
        StoredEmbedder(STATIC, tmp_path).embed(texts, progress=ticks.append)
        assert ticks[0] == 4_096

    def test_a_blank_text_never_costs_a_call(self, tmp_path: Path) -> None:
        embedder, asked = stored(tmp_path)
        with pytest.raises(TextError, match="text 2 is empty"):
            embedder.embed(["a", "b", " \n"])
        with pytest.raises(TypeError, match="text 1 is int"):
            embedder.embed(["a", 3])  # type: ignore[list-item]
        with pytest.raises(TypeError, match="texts is a str"):
            embedder.embed("abc")
        with pytest.raises(TextError, match="the text is empty"):
            embedder.embed_one("")
        with pytest.raises(TypeError, match="the text is bytes"):
            embedder.embed_one(b"a")  # type: ignore[arg-type]
        assert asked == []

    def test_ctrl_c_keeps_what_was_embedded(self, tmp_path: Path) -> None:
        def interrupted(texts: list[str]) -> np.ndarray:
            if "text 60" in texts:
                raise KeyboardInterrupt
            return hashed(DIM, texts)

        texts = [f"text {i}" for i in range(100)]
        embedder = CallableEmbedder(interrupted, name="counted", dim=DIM, batch=10)
        with pytest.raises(KeyboardInterrupt):
            StoredEmbedder(embedder, tmp_path).embed(texts)
        again, asked = stored(tmp_path)
        again.embed(texts)
        assert asked == texts[60:]

    def test_slow_texts_are_kept_after_some_seconds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stored_embedder, "_WRITE_AFTER_S", 0.0)  # every batch is slow
        files: list[int] = []

        def slow(texts: list[str]) -> np.ndarray:
            files.append(len(files_in(tmp_path)))
            return hashed(DIM, texts)

        embedder = CallableEmbedder(slow, name="counted", dim=DIM, batch=10)
        StoredEmbedder(embedder, tmp_path).embed([f"text {i}" for i in range(50)])
        assert files == [0, 1, 2, 3, 4]


def environment() -> dict[str, str]:
    """Environment of a process that imports what this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class TestProcesses:
    PROGRAM = """
import sys, time
from contextlib import contextmanager
from functools import partial
from hypernova.embedder import CallableEmbedder, StoredEmbedder
from support.processes import hashed, hashed_4

def slow(texts):
    time.sleep(float(sys.argv[3]))
    print(len(texts), flush=True)
    return hashed({dim}, texts)

embedder = CallableEmbedder(slow, name="counted", dim={dim}, batch=1024)
stored = StoredEmbedder(embedder, sys.argv[1])
for start in range(0, 40_960, 8192):
    stored.embed([f"text {{i}}" for i in range(start, start + 8192)][:: int(sys.argv[2])])
print("end", flush=True)
"""

    def start(self, folder: Path, step: int, slow_s: float) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM.format(dim=DIM), folder, str(step), str(slow_s)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def test_kill_in_the_middle_costs_what_was_in_work(self, tmp_path: Path) -> None:
        texts = [f"text {i}" for i in range(40_960)]
        with self.start(tmp_path, 1, 0.02) as process:
            assert process.stdout is not None
            n_made = 0
            for line in process.stdout:
                n_made += int(line)
                if n_made > 20_000:
                    break
            process.send_signal(signal.SIGKILL)
        embedder, asked = stored(tmp_path)
        vectors = embedder.embed(texts)
        assert equal(vectors, counted(Counted()).embed(texts))
        assert len(texts) - n_made <= len(asked) <= len(texts) - 2 * 8192
        assert asked == texts[-len(asked) :]

    def test_kill_at_any_moment_leaves_no_file_that_is_not_whole(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        texts = [f"text {i}" for i in range(40_960)]
        for wait_s in (0.0, 0.011, 0.023):
            folder = tmp_path / str(wait_s)
            with self.start(folder, 1, 0.0) as process:
                assert process.stdout is not None
                process.stdout.readline()  # it has begun
                time.sleep(wait_s)
                process.send_signal(signal.SIGKILL)
            embedder, _ = stored(folder)
            assert equal(embedder.embed(texts[:20_000]), hashed_unit(texts[:20_000]))
        assert caplog.text == ""

    def test_two_at_once_on_one_folder(self, tmp_path: Path) -> None:
        with self.start(tmp_path, 1, 0.0) as one, self.start(tmp_path, 2, 0.0) as two:
            for process in (one, two):
                out, _ = process.communicate(timeout=120)
                assert process.returncode == 0
                assert out.endswith("end\n")
        texts = [f"text {i}" for i in range(40_960)]
        embedder, asked = stored(tmp_path)
        assert equal(embedder.embed(texts), hashed_unit(texts))
        assert asked == []

    def test_what_another_process_keeps_is_found_by_one_that_runs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "_LOOK_AGAIN_S", 0.0)
        running, asked = stored(tmp_path)
        running.embed(["first"])
        with self.start(tmp_path, 1, 0.0) as process:
            process.communicate(timeout=120)
        running.embed([f"text {i}" for i in range(100)])
        assert asked == ["first"]

    def test_a_pickle_holds_no_vectors_and_opens_once_in_a_process(self, tmp_path: Path) -> None:
        embedder = StoredEmbedder(CallableEmbedder(hashed_4, name="hashed", dim=4), tmp_path)
        vectors = embedder.embed(TEXTS)
        data = pickle.dumps(embedder)
        assert len(data) < 500
        program = f"""
import pickle, sys
data = sys.stdin.buffer.read()
embedder = pickle.loads(data)
assert pickle.loads(data) is embedder
embedder.embedder._function = None  # every vector is in the folder
sys.stdout.write(embedder.embed({TEXTS!r}).tobytes().hex())
"""
        done = run_python("-c", program, stdin=data, code=0, env=environment())
        assert bytes.fromhex(done.stdout) == vectors.tobytes()
        assert pickle.loads(data).folder == tmp_path

    def test_a_function_without_a_hash_pickles_too(self, tmp_path: Path) -> None:
        embedder = StoredEmbedder(CallableEmbedder(Unhashable(), name="counted", dim=DIM), tmp_path)
        vectors = embedder.embed(TEXTS)
        unpickled = pickle.loads(pickle.dumps(embedder))
        assert isinstance(unpickled, TextEmbedder)
        assert equal(unpickled.embed(TEXTS), vectors)

    def test_eight_threads(self, tmp_path: Path) -> None:
        embedder, _ = stored(tmp_path)
        expected = counted(Counted()).embed(TEXTS)

        def work(seed: int) -> bool:
            rng = np.random.default_rng(seed)
            return all(
                equal(embedder.embed([TEXTS[i] for i in rows]), expected[rows])
                for rows in rng.integers(0, len(TEXTS), (20, 40))
            )

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            with ThreadPoolExecutor(8) as pool:
                assert all(pool.map(work, range(8)))
        finally:
            sys.setswitchinterval(interval)
        again, asked = stored(tmp_path)
        embedder._store.flush()
        again.embed(TEXTS)
        assert len(asked) <= len(TEXTS)


class Unhashable:
    """A function that nothing can be compared with."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, texts: list[str]) -> np.ndarray:
        return hashed(DIM, texts)

    def __eq__(self, other: object) -> bool:
        return False


def hashed_unit(texts: list[str]) -> np.ndarray:
    return counted(Counted()).embed(texts)


class TestIndex:
    @given(st.data())
    def test_it_finds_what_a_dict_finds(self, data: st.DataObject) -> None:
        heads = st.lists(st.integers(0, 12), min_size=1, max_size=8)
        index, rows = KeyIndex(), []
        for number, own in enumerate(data.draw(st.lists(heads, max_size=12))):
            file = VectorFile(Path(str(number)), len(own), 1)
            index = index.with_files([(file, np.array(own, dtype=np.uint64))])
            rows += [(file, row, head) for row, head in enumerate(own)]
        wanted = data.draw(st.lists(st.integers(0, 14), min_size=1, max_size=9))
        good = {rows[i][:2] for i in data.draw(st.sets(st.integers(0, 80))) if i < len(rows)}
        tried: list[tuple[VectorFile, int, int]] = []

        def read(numbers: np.ndarray, among_all: np.ndarray) -> np.ndarray:
            found = np.zeros(len(numbers), dtype=bool)
            for file, at, own in index.by_file(among_all):
                assert (np.diff(own) >= 0).all()
                for i, row in zip(at.tolist(), own.tolist(), strict=True):
                    tried.append((file, row, wanted[int(numbers[i])]))
                    found[i] = (file, row) in good
            return found

        found = index.find(np.array(wanted, dtype=np.uint64), read)
        assert set(tried) <= set(rows)
        expected = [any(r[:2] in good and r[2] == head for r in rows) for head in wanted]
        assert found.tolist() == expected
