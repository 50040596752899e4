"""Logs and options at the edge of what can be: each is answered with a true sentence."""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypernova
from hypernova.cli import main
from hypernova.monitoring.html import render
from support.services import RATES, fitted_service, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@cache
def service() -> hypernova.Artifact:
    return fitted_service()


@pytest.fixture(scope="module")
def logged(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("logged")
    serve(service(), folder, 500)
    return folder


@pytest.fixture(scope="module")
def off(tmp_path_factory) -> Path:
    """A folder, with spaces, of a router and a log that does not keep to its estimates."""
    folder = tmp_path_factory.mktemp("a service")
    service().save(folder / "my router.hnv")
    serve(service(), folder / "its log", 900, truth=0.6 * RATES)
    return folder


def altered(logged: Path, folder: Path, kind: str, change: Callable[[int, dict], None]) -> Path:
    """Write the log with a change to each record of a kind."""
    (source,) = logged.glob("*.jsonl")
    records = [json.loads(line) for line in source.read_text().splitlines()]
    for at, record in enumerate(each for each in records if each["type"] == kind):
        change(at, record)
    target = folder / source.name
    target.write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


class TestTimes:
    @pytest.mark.parametrize(
        "window",
        [{"days": 1e9}, {"days": 1e300}, {"since": "0001-01-01T00:00:00+23:00"}],
        ids=["days", "many days", "since"],
    )
    def test_a_window_from_before_the_first_year(self, logged, window) -> None:
        report = hypernova.monitor(service(), logged, **window)
        assert report.log.since == "0001-01-01T00:00:00Z"
        assert report.log.outcomes == 500

    def test_a_record_from_before_the_first_year(self, logged, tmp_path) -> None:
        early = {"time": "0001-01-01T00:00:00+23:00"}
        altered(logged, tmp_path, "decision", lambda _, record: record.update(early))
        log = hypernova.monitor(service(), tmp_path).log
        assert (log.decisions, log.skipped["malformed"]) == (0, 500)


class TestPropensities:
    def test_one_that_is_hardly_ever_drawn_drowns_no_other(self, logged, tmp_path) -> None:
        rare = {"propensity": 1.1e-6, "reason": "explored"}
        altered(logged, tmp_path, "decision",
                lambda at, record: record.update(rare) if at == 100 else None)  # fmt: skip
        before, after = (hypernova.monitor(service(), each).gain for each in (logged, tmp_path))
        assert after.without_overlap == 1
        assert after.ci.low == pytest.approx(before.ci.low, abs=0.02)
        assert after.ci.high == pytest.approx(before.ci.high, abs=0.02)

    def test_explored_too_rarely_to_tell(self, tmp_path) -> None:
        serve(service(), tmp_path, 500, explore=1e-7)
        gain = hypernova.monitor(service(), tmp_path).gain
        assert (gain.known, gain.ci, gain.without_overlap) == (False, None, 500)

    def test_no_gain_beyond_what_scores_can_be(self, tmp_path) -> None:
        serve(service(), tmp_path, 5, explore=0.01)
        gain = hypernova.monitor(service(), tmp_path).gain
        assert -1 <= gain.ci.low <= gain.gain <= gain.ci.high <= 1


class TestSentences:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"model": "m9"}, "another model than the chosen one answered"),
            ({"time": "2099-01-01T00:00:00Z"}, "dated more than a day ahead"),
            ({"time": "2001-01-01T00:00:00Z"}, "a clock went back"),
        ],
    )
    def test_why_no_outcome_counts(self, logged, tmp_path, change, said) -> None:
        altered(logged, tmp_path, "outcome", lambda _, record: record.update(change))
        report = hypernova.monitor(service(), tmp_path)
        assert report.action == "not_enough_outcomes"
        assert "none of the log's 500 outcomes counts" in report.verdict
        assert said in report.verdict
        assert "there is none so far" not in report.verdict

    def test_why_none_counts_in_a_window(self, logged) -> None:
        report = hypernova.monitor(service(), logged, since="2098-01-01")
        assert "before the window" in report.verdict

    def test_another_artifacts_log_asks_for_that_artifact(self, logged) -> None:
        report = hypernova.monitor(service().replace(cost_weight=1.0), logged)
        assert "Give the artifact that decided" in report.advice

    def test_its_commands_work_as_printed(self, off) -> None:
        report = hypernova.monitor(off / "my router.hnv", off / "its log")
        learn, compare = (shlex.split(command) for command in report.commands)
        assert [line.strip() for line in str(report).splitlines()[2:4]] == list(report.commands)
        made = learn.index("-o") + 1
        learn[made] = compare[3] = str(off / learn[made])
        assert main(learn[1:]) == 0
        assert main(compare[1:]) == 0

    def test_a_path_that_does_not_print(self, off, tmp_path) -> None:
        odd = tmp_path / "it's\n\x1b[31m\\"
        odd.mkdir()
        (router := odd / "-r.hnv").write_bytes((off / "my router.hnv").read_bytes())
        report = hypernova.monitor(router, off / "its log")
        assert all(command.isprintable() for command in report.commands)
        listed = subprocess.run(
            ["bash", "-c", f"hypernova() {{ printf '%s\\0' \"$2\"; }}; {report.commands[0]}"],
            capture_output=True, check=True,
        )  # fmt: skip
        assert listed.stdout == bytes(router) + b"\0"


class TestForms:
    def test_json_and_back_is_the_same(self, off) -> None:
        report = hypernova.monitor(off / "my router.hnv", off / "its log")
        values = json.loads(json.dumps(report.to_dict()))
        assert hypernova.MonitorReport.from_dict(values) == report
        assert report.to_dict() == values

    def test_small_costs_keep_their_digits(self, logged, tmp_path) -> None:
        cheap = {"cost_usd": 1.23456e-8}
        altered(logged, tmp_path, "outcome", lambda _, record: record.update(cheap))
        row = hypernova.monitor(service(), tmp_path).costs[0].observed
        assert row == pytest.approx(1.23456e-8, rel=1e-4)

    def test_at_most_eight_rows_unless_all_are_asked_for(self, tmp_path, capsys) -> None:
        rates = np.random.default_rng(0).uniform(0.4, 0.8, (9, 10))
        artifact = fitted_service(rates, each=30)
        worse = rates.copy()
        worse[:, 0] = 0.0
        artifact.save(tmp_path / "r.hnv")
        serve(artifact, tmp_path / "log", 800, truth=worse, explore=0.6)
        report = hypernova.monitor(tmp_path / "r.hnv", tmp_path / "log")
        assert len(report.estimates.models) == 10
        short, full = str(report), report.text(every=True)
        rows = [line for line in short.splitlines() if line.startswith("m")]
        # Success, costs and latencies.
        assert len(rows) == 3 * 8
        assert "... and 2 more models: --all shows them" in short
        assert len([line for line in full.splitlines() if line.startswith("m")]) == 3 * 10
        assert "--all" not in full
        success = [row for row in rows[:8] if row.endswith("OFF")]
        assert success
        assert success == rows[: len(success)]
        assert main(["monitor", str(tmp_path / "r.hnv"), str(tmp_path / "log"), "--all"]) == 0
        assert capsys.readouterr().out.count("\nm9 ") == 3


@pytest.mark.parametrize("command", ["monitor", "recalibrate"])
def test_a_segment_of_the_log_is_never_overwritten(off, capsys, command) -> None:
    (segment,) = (off / "its log").glob("*.jsonl")
    before = segment.read_bytes()
    option = "--html" if command == "monitor" else "-o"
    arguments = [command, str(off / "my router.hnv"), str(off / "its log"), option, str(segment)]
    assert main(arguments) == 1
    assert "would be overwritten" in capsys.readouterr().err
    assert segment.read_bytes() == before


def test_the_page_has_every_cluster(tmp_path) -> None:
    """Those of the mix without a decision, too: more than a screen of them."""
    artifact = fitted_service(np.full((16, 2), 0.5), each=10)
    serve(artifact, tmp_path, 5, truth=np.full((16, 2), 0.5))
    report = hypernova.monitor(artifact, tmp_path)
    shares = report.mix.clusters * 3
    page = render(dataclasses.replace(report, mix=dataclasses.replace(report.mix, clusters=shares)))
    assert page.count("cluster 15") >= 3
