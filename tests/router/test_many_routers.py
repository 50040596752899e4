"""Many routers in one process: what they share, and what each adds."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

import hypernova
from hypernova.embedder import files, find_bundled
from hypernova.errors import EmbedderError
from hypernova.router import BUNDLED_ARTIFACT
from support.commands import run_python

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "Fix the race in the scheduler"
# Opens a router for each of many files and routes with it; prints bytes for each.
GROWTH = """
import gc, os, sys, hypernova

def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

folder = sys.argv[1]
paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
first = hypernova.Router.open(paths.pop())
first.route(sys.argv[2])
before = resident()
routers = [hypernova.Router.open(path) for path in paths]
for router in routers:
    router.route(sys.argv[2])
print((resident() - before) / len(routers))
"""


def test_a_router_adds_little_more_than_its_file(tmp_path: Path) -> None:
    """A thousand customers, each with an artifact: three times its bytes at most; here 1.04."""
    for i in range(101):
        shutil.copy(BUNDLED_ARTIFACT, tmp_path / f"{i}.hnv")
    done = run_python("-c", GROWTH, tmp_path, TEXT, code=0)
    assert float(done.stdout) < 2 * BUNDLED_ARTIFACT.stat().st_size


def test_routers_of_one_embedder_share_its_tables(tmp_path: Path) -> None:
    copy = shutil.copy(BUNDLED_ARTIFACT, tmp_path / "other.hnv")
    routers = [hypernova.Router.open(path) for path in (BUNDLED_ARTIFACT, copy)]
    decided = [router.route(TEXT).to_dict() for router in routers]
    first, second = (router.embedder._backend for router in routers)
    assert first is not second
    assert [a is b for a, b in zip(first._loaded, second._loaded, strict=True)] == [True, True]
    of_calls = ("id", "seed")  # every decision has its own
    first_decided, second_decided = (
        {key: value for key, value in one.items() if key not in of_calls} for one in decided
    )
    assert first_decided == second_decided


def test_settings_of_the_package_are_read_once_and_again_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "static"
    folder.mkdir()
    settings = json.loads((files.BUNDLED_FOLDER / "static" / files.SETTINGS).read_text())
    path = folder / files.SETTINGS
    path.write_text(json.dumps(settings))
    monkeypatch.setattr(files, "BUNDLED_FOLDER", tmp_path)
    fingerprint = files.fingerprint_of(settings)
    hits = files._settings_in_state.cache_info().hits
    assert [find_bundled(fingerprint) for _ in range(3)] == [folder] * 3
    assert files._settings_in_state.cache_info().hits == hits + 2
    settings["head_chars"] += 1
    path.write_text(json.dumps(settings) + " ")
    assert find_bundled(fingerprint) is None
    assert find_bundled(files.fingerprint_of(settings)) == folder
    path.write_text("{")
    with pytest.raises(EmbedderError, match="not JSON"):
        find_bundled(fingerprint)
    path.unlink()
    assert find_bundled(fingerprint) is None


def test_nobody_changes_the_settings_that_are_kept() -> None:
    identity = hypernova.Artifact.open(BUNDLED_ARTIFACT).embedder
    fingerprint = str(identity["fingerprint"])
    for _ in range(2):
        found = files.find_bundled_model(identity, fingerprint)
        assert found is not None
        assert found.settings["dim"] == identity["dim"]
        found.settings["dim"] = 0
