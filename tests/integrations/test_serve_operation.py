"""A served process seen from operation: its access log, request ids, and outcomes sent again.

Not here: the file of the access log (`test_access_log.py`), the memory of keys
(`test_idempotency.py`), and what the answers hold (`test_serve.py`).
"""

from __future__ import annotations

import json
import resource
import signal
import socket
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

import hypernova
from support.commands import fails_in_one_line
from support.factories import fitted_to_example
from support.process_tree import until
from support.server import Server, assert_error, metrics, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

TOKEN = "s3cret-t0ken"
ADMITTED = {"authorization": f"Bearer {TOKEN}"}
SECRET = "the launch is on Tuesday"


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines() if line]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    fitted_to_example(3).save(folder / "r.hnv")
    (folder / "token").write_text(TOKEN)
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    options = ("-a", place / "r.hnv", "--token-file", place / "token", "--log", place / "log")
    with serving(*options, "--access-log", place / "access.jsonl", "--max-batch", 3) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client(headers=ADMITTED) as client:
        yield client


class TestAccessLog:
    @pytest.fixture
    def line(self, place: Path) -> Callable[[httpx.Response], dict[str, Any]]:
        """Return the one line of an answer, found by its request id."""

        def find(answer: httpx.Response) -> dict[str, Any]:
            request_id = answer.headers["x-request-id"]
            found: list[dict[str, Any]] = []

            def there() -> bool:
                lines = lines_of(place / "access.jsonl")
                found[:] = [line for line in lines if line["request_id"] == request_id]
                return bool(found)

            assert until(there)
            assert len(found) == 1
            return found[0]

        return find

    def test_a_decision(self, client: httpx.Client, line: Any) -> None:
        answer = client.post("/v1/route?q=" + SECRET, json={"text": SECRET})
        found, decision = line(answer), answer.json()
        assert 0 < found.pop("seconds") < 30
        assert abs(time.time() - datetime.fromisoformat(found.pop("time")).timestamp()) < 60
        assert found == {
            "request_id": answer.headers["x-request-id"],
            "method": "POST",
            "path": "/v1/route",
            "status": 200,
            "bytes": len(answer.content),
            "decision": decision["id"],
            "model": decision["model"],
            "reason": decision["reason"],
        }

    def test_a_batch(self, client: httpx.Client, line: Any) -> None:
        answer = client.post("/v1/route/batch", json={"texts": ["a", "b", SECRET]})
        found = line(answer)
        models = [decision["model"] for decision in answer.json()["decisions"]]
        assert found["decisions"] == 3
        assert found["models"] == {model: models.count(model) for model in models}

    def test_errors_have_their_codes(self, client: httpx.Client, line: Any) -> None:
        asked = [
            (client.post("/v1/route", json={"text": " "}), 400, "bad_text"),
            (client.post("/v1/route", json={"text": SECRET, "allow": [SECRET]}), 400, None),
            (client.post("/v1/route/batch", json={"texts": ["a"] * 4}), 413, "too_large"),
            (client.get("/nowhere"), 404, "not_found"),
            (client.get("/v1/route"), 405, "method_not_allowed"),
            (client.head("/healthz"), 200, None),
            (client.get("/v1/artifact", headers={"authorization": "no"}), 401, "unauthorized"),
        ]
        for answer, status, code in asked:
            found = line(answer)
            assert found["status"] == answer.status_code == status
            assert found["method"] == answer.request.method
            assert found["bytes"] == len(answer.content)
            if code is not None:
                assert found["error"] == code

    def test_a_request_that_reaches_no_path(self, server: Server, place: Path) -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(b"NONSENSE\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        request_id = answer.split("x-request-id: ")[1].splitlines()[0]

        def there() -> bool:
            return any(
                (x["request_id"], x["status"], x["error"]) == (request_id, 400, "bad_http")
                for x in lines_of(place / "access.jsonl")
                if x["path"] is None
            )

        assert until(there)

    def test_neither_token_nor_text(self, client: httpx.Client, place: Path, line: Any) -> None:
        """Not even where a caller puts them by mistake."""
        for answer in (
            client.get(f"/v1/{TOKEN}"),
            client.post("/v1/outcomes", json={"id": SECRET, "score": 1}),
            client.post("/v1/route", content=SECRET, headers={"content-type": "application/json"}),
        ):
            line(answer)
        client.get("/healthz", headers={"x-request-id": TOKEN})
        assert until(lambda: '"request_id":"[token]"' in (place / "access.jsonl").read_text())
        written = (place / "access.jsonl").read_text()
        assert TOKEN not in written
        assert SECRET not in written
        assert "Tuesday" not in written

    def test_a_line_break_in_a_path_makes_no_line(self, client: httpx.Client, line: Any) -> None:
        answer = client.get('/a%0A{"status":200}%00%1b')
        assert line(answer)["path"] == '/a\n{"status":200}\0\x1b'

    def test_rotating_takes_no_signal_and_a_signal_does_no_harm(
        self, server: Server, client: httpx.Client, place: Path, line: Any
    ) -> None:
        line(client.get("/healthz"))
        (place / "access.jsonl").rename(place / "access.jsonl.1")
        server.process.send_signal(signal.SIGUSR1)
        answer = client.get("/healthz")
        assert until((place / "access.jsonl").exists)
        line(answer)
        assert metrics(client)["hypernova_access_log_lost_total", ()] == 0


class TestRequestIds:
    @pytest.mark.parametrize("sent", ["a", "0" * 128, "8f4e b~!", "ünlike".encode("latin-1")])
    def test_a_valid_id_is_passed_through(self, client: httpx.Client, sent: Any) -> None:
        answer = client.get("/healthz", headers={"X-Request-Id": sent})
        assert (answer.headers["x-request-id"] == sent) == isinstance(sent, str)

    @pytest.mark.parametrize("sent", [["0" * 129], ["a", "a"], ["a\tb"], []])
    def test_any_other_is_replaced(self, client: httpx.Client, sent: list[str]) -> None:
        headers = [("X-Request-Id", value) for value in sent]
        found = {client.get("/healthz", headers=headers).headers["x-request-id"] for _ in "ab"}
        assert len(found) == 2
        assert all(len(bytes.fromhex(new)) == 16 for new in found)

    def test_failures_in_the_servers_log_name_it(
        self, server: Server, client: httpx.Client
    ) -> None:
        """Also where a thread did the work. No file may grow: to the server the disk is full."""
        decided = client.post("/v1/route", json={"text": "a"}).json()
        before = metrics(client)["hypernova_access_log_lost_total", ()]
        no_limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        try:
            for path, body, status in (
                ("/v1/outcomes", {"id": decided["id"], "score": 1}, 503),
                ("/v1/route", {"text": "a"}, 200),
            ):
                answer = client.post(path, json=body, headers={"x-request-id": f"of {path}"})
                assert answer.status_code == status
                assert "not written" in server.wait_for(f"request of {path}:")
            assert until(lambda: metrics(client)["hypernova_access_log_lost_total", ()] > before)
        finally:
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, no_limit)
        assert "access.jsonl" in server.wait_for("lines of the access log are lost")

    def test_each_of_many_at_once_gets_its_own(self, server: Server) -> None:
        wrong: list[str] = []

        def ask(name: str) -> None:
            with server.client(headers=ADMITTED) as client:
                for number in range(10):
                    sent = f"{name}{number}"
                    body = {"text": sent}
                    answer = client.post("/v1/route", json=body, headers={"x-request-id": sent})
                    if answer.headers["x-request-id"] != sent:
                        wrong.append(sent)

        threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


def records(place: Path) -> list[str]:
    return [
        line
        for file in sorted((place / "log").iterdir())
        for line in file.read_text().splitlines()
        if '"outcome"' in line
    ]


def counts(client: httpx.Client) -> dict[str, float]:
    found = metrics(client)
    return {
        result: found["hypernova_outcomes_total", (("result", result),)]
        for result in ("recorded", "repeated", "refused")
    }


def decide(client: httpx.Client) -> str:
    return str(client.post("/v1/route", json={"text": "Join two tables"}).json()["id"])


class TestOutcomes:
    def test_the_same_again_records_nothing_new(self, client: httpx.Client, place: Path) -> None:
        before, body = counts(client), {"id": decide(client), "score": 0.5}
        sent = {"Idempotency-Key": "one"}
        first = client.post("/v1/outcomes", json=body, headers=sent)
        written = records(place)
        backwards = dict(reversed(body.items()))
        for again in (body, backwards):
            answer = client.post("/v1/outcomes", json=again, headers={"Idempotency-Key": '"one"'})
            assert (answer.status_code, answer.content) == (200, first.content)
        assert records(place) == written
        assert '"key":"one"' in written[-1].replace(" ", "")
        other = client.post("/v1/outcomes", json={**body, "score": 1}, headers=sent)
        assert "new key" in assert_error(other, 422, "key_reused")
        bad = client.post("/v1/outcomes", json=body, headers={"Idempotency-Key": "k" * 129})
        assert_error(bad, 400, "bad_key")
        assert records(place) == written
        change = {result: n - before[result] for result, n in counts(client).items()}
        assert change == {"recorded": 1, "repeated": 2, "refused": 2}

    def test_without_a_key_each_is_written(self, client: httpx.Client, place: Path) -> None:
        before, body = records(place), {"id": decide(client), "score": 1}
        for _ in range(2):
            assert client.post("/v1/outcomes", json=body).status_code == 200
        assert len(records(place)) == len(before) + 2

    def test_many_at_once_record_one(self, server: Server, place: Path) -> None:
        before = records(place)
        with server.client(headers=ADMITTED) as client:
            body = {"id": decide(client), "score": 1}
        statuses: list[int] = []

        def send() -> None:
            with server.client(headers=ADMITTED) as client:
                answer = client.post("/v1/outcomes", json=body, headers={"Idempotency-Key": "many"})
                statuses.append(answer.status_code)

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(records(place)) == len(before) + 1
        assert 200 in statuses
        assert set(statuses) <= {200, 409}

    def test_an_outcome_that_was_not_written_may_be_sent_again(self, client: httpx.Client) -> None:
        body, sent = {"id": decide(client), "score": 1}, {"Idempotency-Key": "later"}
        too_long = {**body, "model": "m" * 70_000}  # no record may be that long
        refused = client.post("/v1/outcomes", json=too_long, headers=sent)
        assert_error(refused, 400, "bad_outcome")
        assert client.post("/v1/outcomes", json=body, headers=sent).status_code == 200

    def test_a_request_that_failed(self, client: httpx.Client, place: Path) -> None:
        decision = decide(client)
        answer = client.post("/v1/outcomes", json={"id": decision, "failed": True})
        assert answer.json() == {"id": decision, "recorded": True}
        assert '"failed":true' in records(place)[-1].replace(" ", "")
        for body in (
            {"id": decision},
            {"id": decision, "failed": False},
            {"id": decision, "score": 1, "failed": True},
            {"id": decision, "failed": "true"},
        ):
            refused = client.post("/v1/outcomes", json=body)
            assert_error(refused, 400, "bad_request")


def test_the_artifact_in_use_is_a_metric(client: httpx.Client) -> None:
    artifact = client.get("/v1/artifact").json()
    shown = {key: value for key, value in metrics(client).items() if "artifact_info" in key[0]}
    labels = (("default_model", artifact["default_model"]), ("sha256", artifact["sha256"]))
    assert shown == {("hypernova_artifact_info", labels): 1}


def test_workers_share_logs_and_not_keys(place: Path, tmp_path: Path) -> None:
    """A key that reaches another process is written again, and counted as sent again.

    The access log holds texts here, also those of requests that fail; long ones are cut.
    """
    options = ("-a", place / "r.hnv", "--workers", 2, "--log", tmp_path / "log")
    with serving(
        *options, "--access-log", tmp_path / "access.jsonl", "--access-log-text"
    ) as server:
        with server.client() as client:
            said = (("user", SECRET), ("assistant", "When?"), ("user", "At ten"))
            messages = [{"role": role, "content": content} for role, content in said]
            client.post("/v1/route", json={"messages": messages})
            client.post("/v1/route", json={"text": "ä" * 10_000, "allow": []})
            body = {"id": decide(client), "score": 1}
        for number in range(20):
            with server.client() as client:  # a connection of its own, so any worker may have it
                sent = {"Idempotency-Key": "one", "X-Request-Id": str(number)}
                answer = client.post("/v1/outcomes", json=body, headers=sent)
                assert answer.json() == {"id": body["id"], "recorded": True}
        with server.client() as client:
            counted = counts(client)
        assert server.stop() == 0
    written = int(counted["recorded"])
    assert written in (1, 2)
    assert counted == {"recorded": written, "repeated": 20 - written, "refused": 0}
    log = hypernova.read_log(tmp_path / "log")
    assert len(list(log)) == 1
    assert log.tally.skipped["sent_again"] == written - 1
    # Each request has its line, also those just before the end.
    lines = lines_of(tmp_path / "access.jsonl")
    asked = [line for line in lines if line["path"] == "/v1/outcomes"]
    assert sorted(int(line["request_id"]) for line in asked) == list(range(20))
    assert [line["outcome"] for line in asked].count("recorded") == written
    texts = [line for line in lines if line["path"] == "/v1/route"]
    assert [line["status"] for line in texts] == [200, 409, 200]
    assert [line.get("texts_cut") for line in texts] == [None, True, None]
    texts_of = [line["texts"] for line in texts]
    assert texts_of == [[SECRET, "At ten"], ["ä" * 8192], ["Join two tables"]]


@pytest.mark.slow
def test_what_a_user_can_mend_is_one_line(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    options = ("--port", 0, "--token-file", token, "--access-log", token)
    assert "overwritten" in fails_in_one_line("serve", *options)
    assert token.read_text() == TOKEN
