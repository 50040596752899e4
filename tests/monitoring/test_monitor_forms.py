"""The page and the command: complete, offline, escaped; exit codes and output of real processes."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypernova
from hypernova.cli import main
from hypernova.monitoring.html import render
from support.commands import fails_in_one_line, output_of, run
from support.services import RATES, fitted_service, serve

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "</script></style></title><img src=x onerror=alert(1)>\"'&"
VOID = {"meta", "br"}


class Page(HTMLParser):
    """A page whose elements are closed in order; its text, its tags and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.refers: list[str] = []
        self.words = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        named = dict(attributes)
        self.ids += [named["id"]] if "id" in named else []
        self.refers += [named[name] for name in ("src", "href", "action") if name in named]
        assert not any(name.startswith("on") for name in named)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.words += data


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a router, the log of a good service, and that of one with a model that fell."""
    folder = tmp_path_factory.mktemp("service")
    words = [[HOSTILE, "sql"], ["poem"], []]
    artifact = fitted_service(words=words)
    artifact.save(folder / "router.hnv")
    serve(artifact, folder / "good", 200)
    serve(artifact, folder / "bad", 900, truth=0.6 * RATES)
    return folder


class TestPage:
    def test_it_is_whole_and_needs_nothing_else(self, place) -> None:
        text = render(hypernova.monitor(place / "router.hnv", place / "bad"))
        page = Page(text)
        assert page.refers == []
        assert "script" not in page.tags
        assert "img" not in page.tags
        assert 'content="default-src &#x27;none&#x27;; style-src' in text
        assert "url(" not in text
        assert {"gain", "changes", "success", "prompts", "amounts", "log"} <= set(page.ids)
        assert HOSTILE in page.words
        assert "Recalibrate:" in page.words

    @pytest.mark.parametrize("name", ["good", "bad", "none"])
    def test_every_figure_of_the_verdict_is_on_it(self, place, name) -> None:
        (place / "none").mkdir(exist_ok=True)
        report = hypernova.monitor(place / "router.hnv", place / name)
        words = " ".join(Page(render(report)).words.split())
        assert " ".join(report.verdict.split()) in words.replace("\N{MINUS SIGN}", "-")
        assert f"{report.log.lines:,} lines" in words

    def test_with_shadow_ancestors_and_changes(self, tmp_path) -> None:
        artifact = fitted_service()
        router = hypernova.Router(artifact, shadow=artifact.replace(guard_z=1e6))
        worse = RATES - [0.45, 0, 0]
        serve(router, tmp_path, 900, truth=lambda i: worse if i > 450 else RATES)
        new = hypernova.recalibrate(artifact, tmp_path).artifact
        before, after = (hypernova.monitor(each, tmp_path) for each in (artifact, new))
        page = Page(render(before))
        assert "shadow" in page.ids
        assert before.changes
        assert "Since about" in page.words
        assert "by ancestors" in Page(render(after)).words


class TestCommand:
    def test_one_line_of_a_log_is_one_line(self, place) -> None:
        log = place / "one line"
        serve(hypernova.Router.open(place / "router.hnv"), log, 1, scored=0.0)
        assert "\nof 1 line\n       1  decisions" in output_of("monitor", place / "router.hnv", log)
        report = hypernova.monitor(place / "router.hnv", log)
        assert "Of 1 lineNumber" in Page(render(report)).words

    def test_text_json_and_page(self, place) -> None:
        arguments = ("monitor", place / "router.hnv", place / "bad")
        text = output_of(*arguments, "--html", place / "page.html")
        assert text.startswith("Recalibrate: ")
        Page((place / "page.html").read_text(encoding="utf-8"))
        values = json.loads(output_of(*arguments, "--json"))
        report = hypernova.MonitorReport.from_dict(values)
        assert report.verdict == text.splitlines()[0]

    def test_exit_codes(self, place, capsys) -> None:
        bad = run("monitor", place / "router.hnv", place / "bad", "--fail-unless-keep", code=3)
        assert bad.stdout.startswith("Recalibrate: ")
        assert bad.stderr == ""
        arguments = ["monitor", str(place / "router.hnv"), str(place / "good")]
        assert main([*arguments, "--fail-unless-keep"]) == 0
        assert capsys.readouterr().out.startswith("Not enough outcomes: ")

    def test_errors_are_one_line(self, place, capsys) -> None:
        router, log = place / "router.hnv", place / "bad"
        assert "would be overwritten" in fails_in_one_line("monitor", router, log, "--html", router)
        for arguments, words in (
            ([place / "gone"], "no such file or folder"),
            ([log, "--since", "never"], "since is 'never'; expected a day"),
        ):
            assert main(["monitor", str(router), *map(str, arguments)]) == 1
            assert words in capsys.readouterr().err
        for option in (["--level", "2"], ["--days", "0"], ["--days", "3", "--since", "2026-11-01"]):
            with pytest.raises(SystemExit) as ended:
                main(["monitor", str(router), str(log), *option])
            assert ended.value.code == 2
        capsys.readouterr()


def test_points_are_rounded_alike() -> None:
    """No figure shows a minus sign before a zero."""
    from hypernova.monitoring.wording import points, round_up

    assert [points(x) for x in (-0.0004, 0.0004, 0.0005001, np.nan, None)] == [
        "0.0", "0.0", "+0.1", "unknown", "unknown",
    ]  # fmt: skip
    assert [round_up(n) for n in (0, 7, 99, 101, 8765)] == [0, 7, 99, 110, 8800]
    assert re.fullmatch(r"[+-]\d+\.\d", points(-0.123))
