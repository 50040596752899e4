"""Changes to an artifact's file while a process routes with it.

Not here: reloading under load (test_service.py), and files that break a rule (test_format.py).
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypernova
from hypernova import Artifact, errors
from hypernova.embedder import Embedder
from hypernova.router.watch import SETTLED_AFTER_S, Watch, file_state

if TYPE_CHECKING:
    from collections.abc import Callable

# Routes some 500 times a second until its standard input ends, and keeps what each artifact said.
CHILD = """
import json, sys, threading
import numpy as np
import hypernova
path, watch, vectors = sys.argv[1], float(sys.argv[2]), np.load(sys.argv[3])
router = hypernova.Router.open(path, watch=watch)
said = {}
def note(what, decision):
    answer = [decision.model, decision.cluster, decision.distance, decision.novelty,
              [[e.model, e.success] for e in decision.ranking]]
    kept = said.setdefault(decision.artifact, {}).setdefault(what, answer)
    assert str(kept) == str(answer), (kept, answer)
end = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), end.set()), daemon=True).start()
print("ready", flush=True)
at = 0
while not end.wait(0.002):
    decision = router.decide(vectors[at % len(vectors)])
    note(str(at % len(vectors)), decision)
    if at % 20 == 0:
        note("text", router.route("Fix the race in the scheduler"))
    at += 1
    if at % 50 == 0:
        print(decision.artifact, flush=True)
print(json.dumps({"said": said, "routed": at, "last": router.artifact.sha256}), flush=True)
router.close()
"""


@pytest.fixture(scope="module")
def static() -> Embedder:
    return Embedder.load("static")


def artifact_of(name: str, embedder: Embedder, seed: int, **changes: object) -> Artifact:
    """Random, its three models named after ``name``; those of names of equal length are alike."""
    rng = np.random.default_rng(seed)
    identity = {"kind": "text", "name": embedder.name, "dim": embedder.dim}
    identity["fingerprint"] = embedder.fingerprint

    def profile() -> np.ndarray:
        return rng.random((41, 3)).astype(np.float32)

    arguments = {
        "models": [f"{name}-{i}" for i in range(3)],
        "centroids": rng.normal(size=(40, embedder.dim)).astype(np.float32),
        "counts": np.ones((41, 3)),
        "mean": profile(),
        "success": profile(),
        "standard_error": profile(),
        "gain_error": profile(),
        "cost": profile(),
        "latency": profile(),
        "novelty": np.array([0, 99], dtype=np.float32),
        "embedder": json.dumps(identity),
        "metadata": "{}",
        "default_model": 0,
    }
    return Artifact.build(**(arguments | changes))  # type: ignore[arg-type]


def until(holds: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def write_in_place(path: Path, data: bytes, pieces: int = 1) -> None:
    """Write over what is there without cutting it, some bytes at a time."""
    with path.open("r+b", buffering=0) as file:
        step = -(-len(data) // pieces)
        for start in range(0, len(data), step):
            file.write(data[start : start + step])
        file.truncate(len(data))


@pytest.mark.slow
def test_200_copies_over_the_file_neither_end_a_router_nor_change_an_answer(
    tmp_path: Path, static: Embedder
) -> None:
    """One process watches the file and one does not, while a third writes to it."""
    # The last one comes once, so that a router that has it has taken the last file.
    names = ("old", "new", "end")
    made = [artifact_of(name, static, seed) for seed, name in enumerate(names)]
    files = [tmp_path / f"{name}.hnv" for name in names]
    for artifact, file in zip(made, files, strict=True):
        artifact.save(file)
    contents = [file.read_bytes() for file in files]
    assert len(contents[0]) == len(contents[1]), "a torn file has the length of a whole one"
    path = tmp_path / "r.hnv"
    path.write_bytes(contents[0])
    vectors = static.embed([f"Task {i}: sort the list" for i in range(16)])
    np.save(tmp_path / "vectors.npy", vectors)

    def child(watch: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CHILD, path, str(watch), tmp_path / "vectors.npy"]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    children = {"watched": child(0.02), "not watched": child(0)}
    for process in children.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    last_line = dict.fromkeys(children, "")

    def read(name: str) -> None:
        stdout = children[name].stdout
        assert stdout is not None
        for line in stdout:
            last_line[name] = line

    readers = [threading.Thread(target=read, args=(name,)) for name in children]
    for reader in readers:
        reader.start()
    try:
        for at in range(200):
            source, data = files[at % 2], contents[at % 2]
            if at % 4 == 0:
                subprocess.run(["cp", source, path], check=True, timeout=60)
            elif at % 4 == 1:
                os.truncate(path, at * len(data) // 200)
                time.sleep(0.01)
                subprocess.run(["cp", source, path], check=True, timeout=60)
            elif at % 4 == 2:
                write_in_place(path, data, pieces=7)
            else:
                os.truncate(path, 0)
            time.sleep(0.01)
        subprocess.run(["cp", files[2], path], check=True, timeout=60)
        expected = made[2].sha256
        until(lambda: last_line["watched"].strip() == expected, "the last file was not taken")
    finally:
        errors_of = {}
        for name, process in children.items():
            assert process.stdin is not None
            process.stdin.close()
            process.wait(60)
            assert process.stderr is not None
            errors_of[name] = process.stderr.read()
            process.stderr.close()
        for reader in readers:
            reader.join()
        for process in children.values():
            assert process.stdout is not None
            process.stdout.close()
    codes = {name: process.returncode for name, process in children.items()}
    assert codes == dict.fromkeys(children, 0), errors_of
    found = {name: json.loads(line) for name, line in last_line.items()}
    assert found["watched"]["last"] == made[2].sha256
    assert found["not watched"]["last"] == made[0].sha256
    assert set(found["watched"]["said"]) == {a.sha256 for a in made}
    assert set(found["not watched"]["said"]) == {made[0].sha256}
    for name, answers in found.items():
        assert answers["routed"] > 50, name  # some 500 a second, on a machine that is free
        for artifact in made:
            said = answers["said"].get(artifact.sha256, {})
            for what, answer in said.items():
                vector = (
                    static.embed_one("Fix the race in the scheduler")
                    if what == "text"
                    else vectors[int(what)]
                )
                decision = artifact.decide(vector)
                ranking = [[e.model, e.success] for e in decision.ranking]
                figures = [decision.cluster, decision.distance, decision.novelty]
                assert answer == [decision.model, *figures, ranking], name


def test_a_torn_file_is_refused(tmp_path: Path, static: Embedder) -> None:
    """The beginning of one file and the end of another one of equal layout."""
    one, two = (artifact_of(name, static, seed).to_bytes() for seed, name in enumerate("ab"))
    assert len(one) == len(two)
    differing = [at for at in range(len(one)) if one[at] != two[at]]
    first, last = differing[0], differing[-1]
    path = tmp_path / "torn.hnv"
    cuts = [*range(first + 1, 1_400, 13), *range(1_400, last, 997), last]
    for cut in cuts:
        torn = one[:cut] + two[cut:]
        with pytest.raises(errors.ArtifactError, match="checksum"):
            Artifact.from_bytes(torn)
        path.write_bytes(torn)
        with pytest.raises(errors.ArtifactError, match="checksum"):
            Artifact.open(path)


class TestMmap:
    def test_a_file_of_up_to_4_mib_is_read_and_a_larger_one_mapped(
        self, tmp_path: Path, static: Embedder
    ) -> None:
        path = tmp_path / "r.hnv"

        def sized(size: int) -> Artifact:
            short = len(artifact_of("m", static, 1, metadata='{"x": ""}').to_bytes())
            filled = '{"x": "' + "x" * (size - short) + '"}'
            artifact_of("m", static, 1, metadata=filled).save(path)
            assert path.stat().st_size == size
            return Artifact.open(path)

        limit = 4 * 1024 * 1024
        assert not sized(limit).mapped
        larger = sized(limit + 1)
        assert larger.mapped
        assert larger.to_bytes() == path.read_bytes()
        assert not Artifact.from_bytes(larger.to_bytes()).mapped

    def test_it_can_be_forced_and_all_ways_are_the_same_artifact(self, tmp_path, static) -> None:
        path = tmp_path / "r.hnv"
        built = artifact_of("m", static, 1)
        built.save(path)
        for mmap, mapped in (("auto", False), (True, True), (False, False)):
            artifact = Artifact.open(path, mmap=mmap)
            assert artifact.mapped is mapped
            assert artifact.sha256 == built.sha256
            assert Path(str(artifact.path)) == path

    @pytest.mark.parametrize("mmap", ["yes", "", "a\ud800", None, 1, 0.0, b"auto"])
    def test_anything_else_is_refused_in_one_line(self, tmp_path, static, mmap) -> None:
        path = tmp_path / "r.hnv"
        artifact_of("m", static, 1).save(path)
        for opened in (Artifact.open, hypernova.Router.open):
            kind = ValueError if isinstance(mmap, str) else TypeError
            with pytest.raises(kind, match='"auto", True or False') as refused:
                opened(path, mmap=mmap)
            assert str(refused.value).startswith("mmap")
            assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("mmap", [True, False])
    def test_a_router_opens_new_files_as_it_opened_the_first(self, tmp_path, static, mmap) -> None:
        path, other = tmp_path / "r.hnv", tmp_path / "other.hnv"
        artifact_of("old", static, 1).save(path)
        artifact_of("other", static, 2).save(other)
        router = hypernova.Router.open(path, mmap=mmap, watch=0.01)
        assert router.artifact.mapped is mmap
        assert router.reload(other).mapped is mmap
        new = artifact_of("new", static, 3)
        new.save(path)
        until(lambda: router.artifact.sha256 == new.sha256, "the new file was not taken")
        assert router.artifact.mapped is mmap
        router.close()

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
    def test_a_pipe_is_read_to_its_end(self, tmp_path, static) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        built = artifact_of("m", static, 1)
        writer = threading.Thread(target=lambda: pipe.write_bytes(built.to_bytes()))
        writer.start()
        assert Artifact.open(pipe).sha256 == built.sha256
        writer.join()

    def test_a_length_that_no_memory_holds_is_refused(self, tmp_path, static) -> None:
        whole = artifact_of("m", static, 1).to_bytes()
        path = tmp_path / "r.hnv"
        for length in (2**40, 2**63, 2**64 - 1):
            path.write_bytes(whole[:16] + length.to_bytes(8, "little") + whole[24:])
            with pytest.raises(errors.ArtifactError, match=f"cut short: {len(whole)} bytes of"):
                Artifact.open(path)

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero here")
    def test_a_file_without_end_is_refused_at_its_first_bytes(self) -> None:
        with pytest.raises(errors.ArtifactError, match="not a hypernova artifact"):
            Artifact.open("/dev/zero")


class TestWatch:
    @pytest.mark.slow
    def test_what_is_written_in_place_within_a_tick_of_the_clock_is_taken(
        self, tmp_path: Path, static: Embedder
    ) -> None:
        path = tmp_path / "r.hnv"
        artifact_of("old", static, 1).save(path)
        router = hypernova.Router.open(path)
        new = artifact_of("new", static, 2)
        write_in_place(path, new.to_bytes())
        # Such a clock gives the same state before and after.
        watch = Watch(router, path, 0.05, file_state(path))
        until(lambda: router.artifact.sha256 == new.sha256, "what was written was not seen")
        watch.stop()

    def test_times_that_are_set_back_hide_no_change(self, tmp_path: Path, static: Embedder) -> None:
        path = tmp_path / "r.hnv"
        artifact_of("old", static, 1).save(path)
        before = path.stat()
        router = hypernova.Router.open(path, watch=0.01)
        new = artifact_of("new", static, 2)
        write_in_place(path, new.to_bytes())
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        until(lambda: router.artifact.sha256 == new.sha256, "the new file was not taken")
        router.close()

    @pytest.mark.slow
    def test_a_file_in_the_midst_of_being_written_is_no_warning(
        self, tmp_path: Path, static: Embedder, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "r.hnv"
        artifact_of("old", static, 1).save(path)
        router = hypernova.Router.open(path, watch=0.01)
        new = artifact_of("new", static, 2)
        told: list[object] = []
        router.observe(on_reload=told.append)
        with caplog.at_level(logging.INFO, "hypernova"), path.open("wb", buffering=0) as file:
            for at in range(0, len(new.to_bytes()), 4_000):
                time.sleep(0.02)  # some looks
                file.write(new.to_bytes()[at : at + 4_000])
            until(lambda: told, "the new file was not taken")  # told last, after the log
        router.close()
        assert router.artifact.sha256 == new.sha256
        assert [record.levelname for record in caplog.records] == ["INFO"]
        assert len(told) == 1

    @pytest.mark.slow
    def test_a_file_that_stays_broken_is_refused_once(
        self, tmp_path: Path, static: Embedder, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "r.hnv"
        old = artifact_of("old", static, 1)
        old.save(path)
        router = hypernova.Router.open(path, watch=0.01)
        told: list[hypernova.events.ReloadEvent] = []
        router.observe(on_reload=told.append)
        with caplog.at_level(logging.INFO, "hypernova"):
            path.write_bytes(old.to_bytes()[:-9])
            until(lambda: told, "it was not refused")
            time.sleep(0.2)  # twenty looks
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "cut short" in caplog.text
        assert len(told) == 1
        assert "cut short" in str(told[0].refused)
        assert router.artifact.sha256 == old.sha256
        new = artifact_of("new", static, 2)
        path.write_bytes(new.to_bytes())
        until(lambda: router.artifact.sha256 == new.sha256, "the new file was not taken")
        router.close()

    def test_a_file_of_the_same_contents_is_not_taken_again(
        self, tmp_path: Path, static: Embedder
    ) -> None:
        path = tmp_path / "r.hnv"
        old = artifact_of("old", static, 1)
        old.save(path)
        router = hypernova.Router.open(path, watch=0.01)
        before = router.artifact
        told: list[object] = []
        router.observe(on_reload=told.append)
        old.save(path)
        time.sleep(0.2)  # twenty looks
        assert router.artifact is before
        assert told == []
        router.close()

    @pytest.mark.slow
    def test_it_does_not_take_back_the_file_that_another_was_taken_for(
        self, tmp_path: Path, static: Embedder
    ) -> None:
        path, other = tmp_path / "r.hnv", tmp_path / "other.hnv"
        artifact_of("old", static, 1).save(path)
        artifact_of("other", static, 2).save(other)
        router = hypernova.Router.open(path, watch=0.01)
        taken = router.reload(other)
        time.sleep(SETTLED_AFTER_S + 0.2)
        assert router.artifact.sha256 == taken.sha256
        router.close()
