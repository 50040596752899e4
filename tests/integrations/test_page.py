"""The page of `hypernova serve --page` over HTTP: its files, headers and token; the last hour.

Not here: what the page does in a browser (`test_page_in_browser.py`), and the document of the
interface (`test_openapi.py`).
"""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

import hypernova
from hypernova.integrations.server import create_app
from hypernova.integrations.server.page.recent import Recent
from hypernova.router.explanation import REASONS
from support.commands import run
from support.factories import fitted_to_example
from support.server import Server, assert_error, metrics, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "s3cret"
TEXT = "Join two tables"
GUARDED = {"authorization": f"Bearer {TOKEN}"}
FILES = ("page.css", "main.js", "api.js", "dom.js", "prompt.js", "options.js", "decision.js",
         "recent.js")  # fmt: skip


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "r.hnv"
    fitted_to_example(4).save(path)
    return path


@pytest.fixture(scope="module")
def server(artifact: Path) -> Iterator[Server]:
    """A server with the page, a token and a log."""
    (artifact.parent / "token").write_text(TOKEN)
    options = ("--token-file", artifact.parent / "token", "--log", artifact.parent / "log")
    with serving("-a", artifact, "--page", *options) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client(headers=GUARDED) as client:
        yield client


@pytest.fixture
def anyone(server: Server) -> Iterator[httpx.Client]:
    """A client without the token."""
    with server.client() as client:
        yield client


class _Links(HTMLParser):
    """The addresses that a page loads, its inline scripts and styles, and its handlers."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.loads += [v for k, v in attrs if k in ("src", "href", "action", "srcset") and v]
        self.inline += [k for k in named if k.startswith("on") or k == "style"]
        if tag == "style" or (tag == "script" and "src" not in named):
            self.inline.append(tag)


class TestFiles:
    def test_the_log_says_where_the_page_is(self, server: Server) -> None:
        assert any(line.rstrip().endswith(f"the page is at {server.url}/") for line in server.lines)

    def test_anyone_may_load_the_page_and_it_holds_no_figure(self, anyone: httpx.Client) -> None:
        page = anyone.get("/")
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert 'data-token="required"' in page.text
        for secret in (TOKEN, "simulated", hypernova.__version__):
            assert secret not in page.text

    def test_it_loads_its_own_files_and_nothing_from_elsewhere(self, anyone: httpx.Client) -> None:
        links = _Links(anyone.get("/").text)
        assert not links.inline
        own = [link for link in links.loads if not link.startswith(("#", "data:"))]
        assert own == ["page/page.css", "page/main.js"]
        for name in FILES:
            found = anyone.get(f"/page/{name}")
            assert found.status_code == 200
            kind = "css" if name.endswith("css") else "javascript"
            assert found.headers["content-type"] == f"text/{kind}; charset=utf-8"
            addresses = re.findall(r"\w+://[^\s\"'`)]+|(?<=[\"'`(])//[^\s\"'`)]+", found.text)
            assert set(addresses) <= {"http://www.w3.org/2000/svg"}  # a name, never loaded

    def test_scripts_import_files_that_are_served(self, anyone: httpx.Client) -> None:
        for name in FILES[1:]:
            for other in re.findall(r' from "\./([^"]+)"', anyone.get(f"/page/{name}").text):
                assert other in FILES

    @pytest.mark.parametrize("path", ["/", *(f"/page/{name}" for name in FILES)])
    def test_every_file_has_the_headers(self, anyone: httpx.Client, path: str) -> None:
        found = anyone.get(path).headers
        policy = dict(rule.split(" ", 1) for rule in found["content-security-policy"].split("; "))
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "connect-src": "'self'",
            "img-src": "'self' data:",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
            "require-trusted-types-for": "'script'",
            "trusted-types": "'none'",
        }
        assert found["cache-control"] == "no-store"
        assert found["referrer-policy"] == "no-referrer"
        assert found["x-content-type-options"] == "nosniff"
        assert found["cross-origin-opener-policy"] == "same-origin"
        assert found["cross-origin-resource-policy"] == "same-origin"
        assert "set-cookie" not in found

    def test_scripts_keep_nothing_and_make_no_html(self, anyone: httpx.Client) -> None:
        """The browser would refuse the latter; nothing hinders the former."""
        told = r"localStorage|sessionStorage|indexedDB|cookie\b(?!, no)|caches|pushState|innerHTML"
        for name in FILES[1:]:
            code = re.sub(r"//.*|/\*\*.*?\*/", "", anyone.get(f"/page/{name}").text)
            assert not re.search(told, code)

    def test_head_is_get_without_a_body(self, anyone: httpx.Client) -> None:
        got, head = anyone.get("/"), anyone.head("/")
        assert head.status_code == 200
        assert head.content == b""
        same = ("content-length", "content-security-policy", "content-type")
        assert [head.headers[name] for name in same] == [got.headers[name] for name in same]

    def test_other_methods_and_paths(self, client: httpx.Client, anyone: httpx.Client) -> None:
        assert_error(client.post("/", json={}), 405, "method_not_allowed")
        for path in ("/page", "/page/", "/page/nothing.js", "/page/../app.py", "/index.html"):
            assert_error(client.get(path), 404, "not_found")
            assert_error(anyone.get(path), 401, "unauthorized")

    def test_the_reasons_are_those_of_an_explanation(self, anyone: httpx.Client) -> None:
        listed = re.findall(r'<li data-reason="(\w+)">([^<]+)</li>', anyone.get("/").text)
        assert {name: html.unescape(why) for name, why in listed} == REASONS

    def test_all_it_shows_needs_the_token(self, anyone: httpx.Client) -> None:
        for path in ("/v1/artifact", "/v1/recent"):
            assert_error(anyone.get(path), 401, "unauthorized")
        assert_error(anyone.post("/v1/explain", json={"text": TEXT}), 401, "unauthorized")
        wrong = {"authorization": "Bearer wrong"}
        assert_error(anyone.get("/v1/recent", headers=wrong), 401, "unauthorized")


def test_without_page_there_is_none(artifact: Path) -> None:
    async def ask(*paths: str) -> list[httpx.Response]:
        with hypernova.Router.open(artifact) as router:
            transport = httpx.ASGITransport(create_app(router))
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return [await client.get(path) for path in paths]

    index, script, recent = asyncio.run(ask("/", "/page/main.js", "/v1/recent"))
    assert_error(index, 404, "not_found")
    assert_error(script, 404, "not_found")
    assert recent.status_code == 200


class TestExplain:
    def test_it_is_what_the_command_line_prints(self, client: httpx.Client, artifact: Path) -> None:
        options = ("--cost-weight", "20", "--allow", "simulated-small", "simulated-maths")
        done = run("route", "-a", artifact, "--explain", "--json", *options, "--", TEXT, code=0)
        sent = {"text": TEXT, "cost_weight": 20, "allow": ["simulated-small", "simulated-maths"]}
        printed = json.loads(done.stdout)
        answer = client.post("/v1/explain", json=sent).json()
        for found in (printed, answer):
            found["decision"].pop("id")
        assert answer == printed

    def test_a_chat_is_explained_by_its_turns(self, client: httpx.Client) -> None:
        said = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Write a sonnet"},
            {"role": "assistant", "content": "Of what?"},
            {"role": "user", "content": "Of the sea"},
        ]
        answer = client.post("/v1/explain", json={"messages": said}).json()
        assert [text["characters"] for text in answer["texts"]] == [14, 10]

    def test_its_errors_are_those_of_route(self, client: httpx.Client) -> None:
        for body, status, code in (
            ({"text": TEXT, "allow": []}, 409, "no_candidate"),
            ({"text": TEXT, "allow": ["nobody"]}, 400, "unknown_model"),
            ({"text": " "}, 400, "bad_text"),
            ({}, 400, "bad_request"),
            ({"text": TEXT, "cost_wieght": 1}, 400, "bad_request"),
        ):
            assert_error(client.post("/v1/explain", json=body), status, code)

    def test_it_is_neither_logged_nor_counted_as_a_decision(
        self, client: httpx.Client, artifact: Path
    ) -> None:
        def state() -> tuple[dict[str, float], list[bytes], object]:
            found = {str(k): v for k, v in metrics(client).items() if "_requests_" not in k[0]}
            counted = {k: v for k, v in found.items() if "request_seconds" not in k}
            files = [path.read_bytes() for path in sorted((artifact.parent / "log").iterdir())]
            recent = client.get("/v1/recent").json()
            return (
                {k: v for k, v in counted.items() if "process_" not in k},
                files,
                [recent[name] for name in ("decisions", "novelty", "requests", "errors")],
            )

        client.post("/v1/route", json={"text": TEXT}).raise_for_status()
        before = state()
        for body in ({"text": TEXT}, {"text": TEXT, "explore": 1.0}, {"text": TEXT, "allow": []}):
            client.post("/v1/explain", json=body)
        client.get("/")
        assert state() == before


class TestRecent:
    def test_it_adds_up_what_was_asked(self, artifact: Path) -> None:
        with serving("-a", artifact, "--page") as server, server.client() as client:
            assert 'data-token="none"' in client.get("/").text
            empty = client.get("/v1/recent")
            assert empty.headers["cache-control"] == "no-store"
            assert empty.json()["decisions"] == empty.json()["errors"] == []
            assert empty.json()["latency"]["answer"]["p50_s"] is None
            chosen = [
                client.post("/v1/route", json={"text": TEXT, "allow": [model]}).json()["model"]
                for model in ["simulated-small"] * 3 + ["simulated-maths"]
            ]
            assert len(chosen) == 4
            client.post("/v1/route/batch", json={"texts": [TEXT, "Write a sonnet"]})
            client.post("/v1/route", json={"text": ""})
            client.get("/nothing")
            found = client.get("/v1/recent").json()
        assert sum(model["decisions"] for model in found["decisions"]) == 6
        assert {"model": "simulated-small", "decisions": 3} in found["decisions"]
        assert sum(bucket["decisions"] for bucket in found["novelty"]) == 6
        assert found["requests"] == 7
        assert {(e["path"], e["status"], e["requests"]) for e in found["errors"]} == {
            ("/v1/route", 400, 1), ("other", 404, 1),
        }  # fmt: skip
        assert found["minutes"][-1]["decisions"] == 6
        assert found["minutes"][-1]["errors"] == 2
        for name, requests in (("answer", 5), ("embed", 5), ("decide", 5)):
            latency = found["latency"][name]
            assert latency["requests"] == requests
            assert 0 < latency["p50_s"] <= latency["p90_s"] <= latency["p99_s"]

    def test_every_worker_gives_the_sums_of_all_also_one_that_starts_later(
        self, artifact: Path
    ) -> None:
        with serving("-a", artifact, "--workers", 2) as server:

            def ask(i: int) -> int:
                with server.client() as client:  # a connection for each, so both workers answer
                    return client.post("/v1/route", json={"text": f"Join {i} tables"}).status_code

            with ThreadPoolExecutor(4) as threads:
                assert set(threads.map(ask, range(40))) == {200}

            def decisions() -> list[float]:
                with server.client() as one, server.client() as other:
                    found = [client.get("/v1/recent").json() for client in (one, other)]
                return [sum(m["decisions"] for m in recent["decisions"]) for recent in found]

            assert decisions() == [40, 40]
            workers = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
            os.kill(int(workers.read_text().split()[0]), signal.SIGKILL)
            server.wait_for("another one starts")
            assert decisions() == [40, 40]

    def test_an_hour_ago_is_forgotten(self) -> None:
        """Against counts by minute that are kept beside it, with a clock of the test's own."""
        now = 0.0
        registry = CollectorRegistry()
        decisions = Counter("hypernova_decisions", "", ["model", "reason"], registry=registry)
        requests = Counter("hypernova_requests", "", ["path", "status"], registry=registry)
        recent = Recent(registry.collect, lambda: now)
        added: list[int] = []
        for minute in range(150):
            number = minute % 7
            decisions.labels("a", "routed").inc(number)
            requests.labels("/v1/route", "200").inc(number)
            requests.labels("/v1/explain", "409").inc()
            requests.labels("/v1/route", "503").inc(minute % 2)
            added.append(number)
            now += 60.0
            recent.take()
            found = recent.figures()
            covered = min(minute + 1, 60)
            assert found["seconds"] == 60 * covered
            assert sum(m["decisions"] for m in found["decisions"]) == sum(added[-covered:])
            by_minute = [m["decisions"] for m in found["minutes"]]
            assert by_minute == [*added[-covered:], 0]
            errors = sum(e["requests"] for e in found["errors"])
            assert errors == sum(m % 2 for m in range(minute + 1)[-covered:])
            assert found["requests"] == sum(added[-covered:]) + errors

    def test_a_process_that_takes_over_goes_on_with_the_hour(self) -> None:
        """As a worker that is forked, with what was taken before; no older than an hour."""
        now = 0.0
        registry = CollectorRegistry()
        decisions = Counter("hypernova_decisions", "", ["model", "reason"], registry=registry)
        recent = Recent(registry.collect, lambda: now)

        async def begin() -> None:
            async with recent.taking():
                pass

        for waited, covered, decided in ((30.0, 30.0, 1), (570.0, 600.0, 2), (9000.0, 0.0, 0)):
            decisions.labels("a", "routed").inc()
            now += waited
            asyncio.run(begin())
            assert recent.seconds_to_next() == (30.0 if waited == 30.0 else 60.0)
            found = recent.figures()
            assert found["seconds"] == covered
            assert sum(m["decisions"] for m in found["decisions"]) == decided

    def test_quantiles_are_those_of_the_values(self) -> None:
        """Within the bucket in which the true quantile lies."""
        registry = CollectorRegistry()
        bounds = (0.001, 0.002, 0.005, 0.01, 0.1, 1.0)
        seconds = Histogram("hypernova_embed_seconds", "", buckets=bounds, registry=registry)
        recent = Recent(registry.collect, lambda: 0.0)
        values = [0.0004 * i for i in range(1, 100)]  # up to 0.0396
        for value in values:
            seconds.observe(value)
        found = recent.figures()["latency"]["embed"]
        assert found["requests"] == 99
        for name, share in (("p50_s", 0.5), ("p90_s", 0.9), ("p99_s", 0.99)):
            true = values[round(share * 99) - 1]
            low = max((b for b in (0.0, *bounds) if b < true), default=0.0)
            high = min(b for b in bounds if b >= true)
            assert low <= found[name] <= high
        for _ in range(10_000):
            seconds.observe(30.0)
        assert recent.figures()["latency"]["embed"]["p50_s"] == 1.0

    def test_a_counter_that_begins_anew_counts_from_zero(self) -> None:
        registry = CollectorRegistry()
        decisions = Counter("hypernova_decisions", "", ["model", "reason"], registry=registry)
        decisions.labels("a", "routed").inc(100)
        recent = Recent(registry.collect, lambda: 0.0)
        decisions.clear()
        decisions.labels("a", "routed").inc(3)
        assert recent.figures()["decisions"] == [{"model": "a", "decisions": 3.0}]
