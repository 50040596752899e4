"""`hypernova serve` as a process: what it answers, what it refuses, how it ends.

Not here: its limits (`test_serve_limits.py`), the document of its interface
(`test_openapi.py`), and load (`benches/serve_load.py`).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import hypernova
from support.commands import fails_in_one_line, run
from support.factories import fitted_to_example
from support.server import Server, assert_error, metrics, resident, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

USER = {"role": "user", "content": "a"}
TEXTS = ["Join two tables", "Prove that the sum of two odd numbers is even", "Write a sonnet"]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two artifacts of the same table that differ in their clusters."""
    folder = tmp_path_factory.mktemp("artifacts")
    for clusters in (4, 3):
        fitted_to_example(clusters).save(folder / f"{clusters}.hnv")
    return [folder / "4.hnv", folder / "3.hnv"]


@pytest.fixture(scope="module")
def server(artifacts: list[Path]) -> Iterator[Server]:
    with serving("-a", artifacts[0], "--max-body-bytes", 100_000, "--max-batch", 50) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


class TestRoute:
    @pytest.mark.slow
    def test_the_answer_is_that_of_the_router(
        self, client: httpx.Client, artifacts: list[Path]
    ) -> None:
        router = hypernova.Router.open(artifacts[0])
        for text in TEXTS:
            expected = router.route(text, cost_weight=0.5)
            answer = client.post("/v1/route", json={"text": text, "cost_weight": 0.5}).json()
            assert answer["model"] == expected.model
            assert answer["reason"] == expected.reason
            assert answer["ranking"] == [
                {
                    key: getattr(entry, key)
                    for key in ("model", "success", "cost_usd", "latency_s", "n", "utility")
                }
                for entry in expected.ranking
            ]
            assert answer["artifact"] == router.artifact.sha256
            assert answer["propensity"] == 1.0
            assert len(bytes.fromhex(answer["id"])) == 16

    @pytest.mark.slow
    def test_it_has_every_field_that_the_command_line_prints(
        self, client: httpx.Client, artifacts: list[Path]
    ) -> None:
        done = run("route", "-a", artifacts[0], "--json", TEXTS[0], code=0)
        printed, answer = json.loads(done.stdout), client.post("/v1/route", json={"text": TEXTS[0]})
        printed.pop("id")
        assert printed == {k: v for k, v in answer.json().items() if k != "id"}

    def test_a_conversation_stays_on_its_model(self, client: httpx.Client) -> None:
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": TEXTS[0]}]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]},
            {"role": "user", "content": "And now with an index"},
        ]
        body = {"messages": messages, "previous_model": "simulated-small", "switch_cost": 1}
        answer = client.post("/v1/route", json=body).json()
        assert (answer["model"], answer["reason"]) == ("simulated-small", "stayed")

    def test_items_of_the_responses_protocol_are_passed_over(self, client: httpx.Client) -> None:
        items = [
            {"role": "developer", "content": "Be brief."},
            {"type": "message", "role": "user", "content": TEXTS[0]},
            {"type": "reasoning", "id": "r", "summary": [], "content": None},
            {"type": "function_call", "call_id": "c", "name": "ls", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "3 tests failed"},
            {"type": "item_reference", "id": "m"},
        ]
        answer = client.post("/v1/route", json={"messages": items})
        assert answer.status_code == 200, answer.text
        alone = client.post("/v1/route", json={"text": TEXTS[0]}).json()
        assert answer.json()["distance"] == alone["distance"]
        assert_error(client.post("/v1/route", json={"messages": items[2:]}), 400, "bad_messages")

    def test_exploring_says_its_propensity(self, client: httpx.Client) -> None:
        answer = client.post("/v1/route", json={"text": TEXTS[0], "explore": 1.0}).json()
        assert answer["propensity"] == pytest.approx(1 / 5)

    def test_a_batch_is_each_of_its_texts(self, client: httpx.Client) -> None:
        together = client.post(
            "/v1/route/batch", json={"texts": TEXTS, "deny": ["simulated-large"]}
        )
        for text, found in zip(TEXTS, together.json()["decisions"], strict=True):
            alone = client.post("/v1/route", json={"text": text, "deny": ["simulated-large"]})
            assert found["ranking"][0]["model"] == alone.json()["model"] != "simulated-large"
        many = {"texts": ["a"] * 51}
        assert "at most 50" in assert_error(
            client.post("/v1/route/batch", json=many), 413, "too_large"
        )
        for blank in ("", " ", "\u200b"):
            message = assert_error(
                client.post("/v1/route/batch", json={"texts": ["a", blank]}), 400, "bad_text"
            )
            assert "text 1 " in message

    @pytest.mark.parametrize(
        ("body", "status", "code", "named"),
        [
            ({}, 400, "bad_request", "text or messages"),
            (
                {"text": "a", "messages": [{"role": "user", "content": "a"}]},
                400,
                "bad_request",
                "or",
            ),
            ({"text": ""}, 400, "bad_text", "empty"),
            ({"text": " \n "}, 400, "bad_text", "empty"),
            ({"text": 3}, 400, "bad_request", "text"),
            ({"text": "a", "cost_wieght": 1}, 400, "bad_request", "cost_wieght"),
            ({"text": "a", "cost_weight": -1}, 400, "bad_request", "cost_weight"),
            ({"text": "a", "min_success": 1.5}, 400, "bad_request", "min_success"),
            ({"text": "a", "explore": 2}, 400, "bad_request", "explore"),
            ({"text": "a", "on_novel": "panic"}, 400, "bad_request", "on_novel"),
            ({"text": "a", "messages": None, "allow": [""]}, 400, "bad_request", "allow[0]: "),
            ({"messages": None}, 400, "bad_request", "text or messages"),
            ({"text": "a", "prices": {"gpt-9": "1"}}, 400, "bad_request", 'prices["gpt-9"]: '),
            ({"text": "a", "prices": {"large": [1]}}, 400, "bad_request", "prices.large: "),
            ({"text": "a", "prices": {"": 1}}, 400, "bad_request", 'prices[""]: '),
            ({"text": "a", "prices": {"[key]": -1}}, 400, "bad_request", 'prices["[key]"]: '),
            ({"text": "a", "": 1}, 400, "bad_request", '"": '),
            ({"text": "a", "cost\nweight": 1}, 400, "bad_request", r'"cost\nweight": '),
            ({"text": "a", "allow": ["gpt-9"]}, 400, "unknown_model", "gpt-9"),
            ({"text": "a", "deny": ["gpt-9"]}, 400, "unknown_model", "gpt-9"),
            ({"text": "a", "prices": {"gpt-9": 1}}, 400, "unknown_model", "gpt-9"),
            ({"text": "a", "previous_model": "gpt-9"}, 400, "unknown_model", "gpt-9"),
            ({"text": "a", "allow": []}, 409, "no_candidate", "left"),
            ({"text": "a", "max_cost_usd": 0}, 409, "no_candidate", "max_cost_usd"),
            ({"messages": []}, 400, "bad_messages", "0 turns"),
            ({"messages": "a"}, 400, "bad_messages", "messages: "),
            ({"messages": {}}, 400, "bad_messages", "messages: "),
            ({"messages": [None]}, 400, "bad_messages", "messages[0]: "),
            ({"messages": [{}]}, 400, "bad_messages", "messages[0]: role is missing"),
            ({"messages": [{"content": "a"}]}, 400, "bad_messages", "role is missing"),
            ({"messages": [{"type": 1}]}, 400, "bad_messages", "messages[0].type: "),
            ({"messages": [{"role": 5}]}, 400, "bad_messages", "messages[0].role: "),
            ({"messages": [USER, {"role": ""}]}, 400, "bad_messages", "messages[1].role: "),
            ({"messages": [{**USER, "content": 5}]}, 400, "bad_messages", "messages[0].content: "),
            (
                {"messages": [{**USER, "content": [None]}]},
                400,
                "bad_messages",
                "messages[0].content: ",
            ),
            ({"messages": [{**USER, "content": " "}]}, 400, "bad_messages", "no text"),
            ({"messages": [{"role": "system", "content": "a"}]}, 400, "bad_messages", "user"),
            (
                {"messages": [{"role": "user", "content": [{"text": 1}]}]},
                400,
                "bad_messages",
                "type",
            ),
            (
                {"text": "Quelle est la couleur du ciel ?" * 9, "on_novel": "error"},
                409,
                "novel_prompt",
                "novel",
            ),
        ],
    )
    def test_bad_input_has_its_answer(
        self, client: httpx.Client, body: dict[str, Any], status: int, code: str, named: str
    ) -> None:
        message = assert_error(client.post("/v1/route", json=body), status, code)
        assert message.startswith(named) if named.endswith(": ") else named in message

    def test_a_batch_has_no_messages(self, client: httpx.Client) -> None:
        body = {"texts": ["a"], "messages": "a"}
        answer = client.post("/v1/route/batch", json=body)
        assert "messages: " in assert_error(answer, 400, "bad_request")

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"[]", b'{"text": "\xff"}', b'{"text": "a", "cost_weight": NaN}', b"null"],
    )
    def test_what_is_not_the_json_asked_for_is_refused(
        self, client: httpx.Client, body: bytes
    ) -> None:
        answer = client.post(
            "/v1/route", content=body, headers={"content-type": "application/json"}
        )
        assert_error(answer, 400, "bad_request")

    def test_another_media_type_path_or_method(self, client: httpx.Client) -> None:
        # What a page in a browser can send to another origin unasked.
        plain = {"content-type": "text/plain"}
        answer = client.post("/v1/route", content=b'{"text": "a"}', headers=plain)
        assert_error(answer, 415, "not_json")
        assert_error(client.get("/v1/routes"), 404, "not_found")
        assert_error(client.get("/v1/route"), 405, "method_not_allowed")

    def test_a_slash_at_the_end_makes_another_path(self, client: httpx.Client) -> None:
        elsewhere = {"host": "elsewhere.example"}  # no answer may send a caller there
        for path in ("/v1/artifact/", "/metrics/", "/healthz/", "/openapi.json/", "/v1/route/"):
            assert_error(client.get(path, headers=elsewhere), 404, "not_found")
        for path in ("/v1/route/", "/v1/route/batch/", "/v1/outcomes/"):
            answer = client.post(path, json={"text": "a"}, headers=elsewhere)
            assert_error(answer, 404, "not_found")


class TestBodies:
    def test_a_large_body_is_refused_by_its_head(self, server: Server) -> None:
        """A hundred megabytes are announced, and the answer comes before any is sent."""
        head = (
            b"POST /v1/route HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"content-length: 104857600\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(head)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 413")
        assert b'"too_large"' in answer

    def test_a_body_of_no_stated_length_is_counted(self, server: Server) -> None:
        before = resident(server.process.pid)
        sent = 0
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(
                b"POST /v1/route HTTP/1.1\r\nhost: localhost\r\n"
                b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
            try:
                while sent < 200 << 20:
                    connection.sendall(chunk)
                    sent += 0x10000
            except OSError:  # the server has closed the connection
                pass
        assert sent < 90 << 20  # 64 MiB, for clients that read late, and the buffers of both ends
        assert resident(server.process.pid) < before + (20 << 20)
        with server.client() as client:
            assert client.post("/v1/route", json={"text": "a"}).status_code == 200

    @pytest.mark.slow
    def test_a_body_that_does_not_come_is_given_up(self, artifacts: list[Path]) -> None:
        with (
            serving("-a", artifacts[0], "--timeout", "0.5") as server,
            socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
        ):
            connection.sendall(
                b"POST /v1/route HTTP/1.1\r\nhost: localhost\r\n"
                b"content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
            )
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 408")
        assert b'"slow_body"' in answer


@pytest.fixture(scope="module")
def guarded(artifacts: list[Path]) -> Iterator[Server]:
    env = {**os.environ, "HYPERNOVA_TOKEN": "s3cret"}
    with serving("-a", artifacts[0], env=env) as server:
        yield server


class TestToken:
    @pytest.mark.parametrize(
        "given",
        [None, "", "Bearer", "Bearer s3cre", "Bearer s3crets", "Basic s3cret", "s3cret",
         "bearer S3CRET", "Bearers3cret", "Bearer Bearer s3cret", "s3cret Bearer"],
    )  # fmt: skip
    def test_without_it_only_health_is_told(self, guarded: Server, given: str | None) -> None:
        headers = {} if given is None else {"authorization": given}
        with guarded.client(headers=headers) as client:
            for answer in (
                client.post("/v1/route", json={"text": "a"}),
                client.post("/v1/outcomes", json={}),
                client.get("/v1/artifact"),
                client.get("/metrics"),
                client.get("/openapi.json"),
                client.get("/nowhere"),
            ):
                assert_error(answer, 401, "unauthorized")
                assert answer.headers["www-authenticate"] == "Bearer"
            assert client.get("/healthz").json() == {"status": "ok"}

    @pytest.mark.slow
    def test_with_the_token_every_answer_is_given(self, guarded: Server) -> None:
        with guarded.client(headers={"authorization": "Bearer s3cret"}) as client:
            assert client.post("/v1/route", json={"text": "a"}).status_code == 200
            assert client.get("/metrics").status_code == 200

    @pytest.mark.parametrize(
        "given", ["bearer s3cret", "BEARER s3cret", "bEARER s3cret", "Bearer   s3cret"]
    )
    def test_the_scheme_is_in_any_case(self, guarded: Server, given: str) -> None:
        with guarded.client(headers={"authorization": given}) as client:
            assert client.get("/v1/artifact").status_code == 200

    @pytest.mark.slow
    def test_the_token_may_stand_in_a_file(self, artifacts: list[Path], tmp_path: Path) -> None:
        (tmp_path / "token").write_text("from-file\n")
        options = ("-a", artifacts[0], "--token-file", tmp_path / "token")
        with serving(*options) as server, server.client() as client:
            assert_error(client.get("/v1/artifact"), 401, "unauthorized")
            right = {"authorization": "Bearer from-file"}
            assert client.get("/v1/artifact", headers=right).status_code == 200


class TestOutcomes:
    @pytest.mark.slow
    def test_without_a_log_they_are_refused(self, client: httpx.Client) -> None:
        message = assert_error(
            client.post("/v1/outcomes", json={"id": "0" * 32, "score": 1}), 409, "no_log"
        )
        assert "--log" in message

    @pytest.mark.slow
    def test_with_one_decision_and_outcome_are_joined(
        self, artifacts: list[Path], tmp_path: Path
    ) -> None:
        with (
            serving("-a", artifacts[0], "--log", tmp_path / "log") as server,
            server.client() as client,
        ):
            alone = client.post("/v1/route", json={"text": TEXTS[0], "explore": 0.5}).json()
            batch = client.post("/v1/route/batch", json={"texts": TEXTS}).json()["decisions"]
            for answer, score in ((alone, 1), (batch[1], 0.5)):
                body = {"id": answer["id"], "score": score, "cost_usd": 0.01, "latency_s": 2}
                body |= {"input_tokens": 812, "output_tokens": 96}
                told = client.post("/v1/outcomes", json=body)
                assert told.json() == {"id": answer["id"], "recorded": True}
            for body in (
                {"id": "x", "score": 1},
                {"id": alone["id"], "score": 1.5},
                {"id": alone["id"], "score": True},
                {"id": alone["id"]},
                {"id": alone["id"], "score": 1, "cost_usd": -1},
                {"id": alone["id"], "score": 1, "output_tokens": "96"},
            ):
                assert_error(client.post("/v1/outcomes", json=body), 400, "bad_request")
            unlogged = {"id": alone["id"], "score": 1, "model": "x" * 70_000}
            assert_error(client.post("/v1/outcomes", json=unlogged), 400, "bad_outcome")
            server.process.kill()  # and nothing that was answered is lost
            server.process.wait(30)
        found = {
            joined.decision.id: (joined.decision.propensity, joined.outcome.score)
            for joined in hypernova.read_log(tmp_path / "log")
        }
        assert found == {alone["id"]: (alone["propensity"], 1.0), batch[1]["id"]: (1.0, 0.5)}

    @pytest.mark.slow
    def test_a_log_that_cannot_be_written_costs_no_decision(
        self, artifacts: list[Path], tmp_path: Path
    ) -> None:
        log = tmp_path / "log"
        options = ("-a", artifacts[0], "--log", log)
        with serving(*options) as server, server.client() as client:
            log.rename(tmp_path / "gone")
            decision = client.post("/v1/route", json={"text": TEXTS[0]})
            assert decision.status_code == 200
            body = {"id": decision.json()["id"], "score": 1}
            assert_error(client.post("/v1/outcomes", json=body), 503, "log_failed")
            assert metrics(client)["hypernova_log_failures_total", ()] == 1


class TestMetrics:
    @pytest.mark.slow
    def test_the_counts_add_up(self, artifacts: list[Path]) -> None:
        with serving("-a", artifacts[0]) as server, server.client() as client:
            answers = [client.post("/v1/route", json={"text": text}).json() for text in TEXTS]
            batch = client.post("/v1/route/batch", json={"texts": TEXTS, "explore": 1.0})
            answers += batch.json()["decisions"]
            client.post("/v1/route", json={"text": ""})
            client.get("/a/path/that/nobody/made")
            found = metrics(client)
        by_label: dict[tuple[str, str], int] = {}
        for answer in answers:
            key = (answer["model"], answer["reason"])
            by_label[key] = by_label.get(key, 0) + 1
        counted = {
            (dict(labels)["model"], dict(labels)["reason"]): value
            for (name, labels), value in found.items()
            if name == "hypernova_decisions_total"
        }
        assert counted == by_label
        assert found["hypernova_novelty_count", ()] == len(answers) == 6
        assert found["hypernova_novelty_sum", ()] == pytest.approx(
            sum(answer["novelty"] for answer in answers)
        )
        # Four requests came as far as being decided.
        assert found["hypernova_embed_seconds_count", ()] == 4
        assert found["hypernova_decide_seconds_count", ()] == 4
        assert found["hypernova_decide_seconds_sum", ()] > 0
        requests = {
            (dict(labels)["path"], dict(labels)["status"]): value
            for (name, labels), value in found.items()
            if name == "hypernova_requests_total"
        }
        assert requests == {
            ("/v1/route", "200"): 3,
            ("/v1/route", "400"): 1,
            ("/v1/route/batch", "200"): 1,
            ("other", "404"): 1,
        }


class TestReload:
    @pytest.mark.slow
    @pytest.mark.parametrize("how", ["watch", "hang up"])
    def test_under_load_no_request_fails(
        self, artifacts: list[Path], tmp_path: Path, how: str
    ) -> None:
        place = tmp_path / "router.hnv"
        place.write_bytes(artifacts[0].read_bytes())
        expected = {}  # the ranking of each artifact: an answer may not mix them
        for path in artifacts:
            router = hypernova.Router.open(path)
            expected[router.artifact.sha256] = [
                (entry.model, entry.success) for entry in router.route(TEXTS[1]).ranking
            ]
        assert len(set(map(str, expected.values()))) == 2
        options = ("-a", place, *(("--watch",) if how == "watch" else ()))
        with serving(*options) as server:
            stop = threading.Event()
            seen: list[tuple[int, str, bool]] = []

            def ask() -> None:
                with server.client() as client:
                    while not stop.is_set():
                        answer = client.post("/v1/route", json={"text": TEXTS[1]})
                        found = answer.json()
                        ranking = [(e["model"], e["success"]) for e in found["ranking"]]
                        same = expected[found["artifact"]] == ranking
                        seen.append((answer.status_code, found["artifact"], same))

            def replace(data: bytes) -> None:
                (tmp_path / "new").write_bytes(data)
                (tmp_path / "new").rename(place)
                if how == "hang up":
                    server.process.send_signal(signal.SIGHUP)

            def until_served(sha: str) -> None:
                begun = len(seen)
                for _ in range(2000):
                    if any(found[1] == sha for found in seen[begun:]):
                        return
                    time.sleep(0.01)
                raise AssertionError(f"{sha} was not served")

            shas = list(expected)
            threads = [threading.Thread(target=ask) for _ in range(3)]
            for thread in threads:
                thread.start()
            try:
                first, second = (path.read_bytes() for path in artifacts)
                until_served(shas[0])
                replace(second)
                server.wait_for("INFO: reloaded", 1)
                until_served(shas[1])
                replace(second[:-1])  # cut short
                server.wait_for("not reloaded", 1)
                replace(first)
                server.wait_for("INFO: reloaded", 2)
                until_served(shas[0])
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            with server.client() as client:
                counts = metrics(client)
                artifact = client.get("/v1/artifact").json()
        assert {(status, same) for status, _, same in seen} == {(200, True)}
        assert {sha for _, sha, _ in seen} == set(expected)
        assert counts["hypernova_reloads_total", (("result", "ok"),)] == 2
        assert counts["hypernova_reloads_total", (("result", "refused"),)] == 1
        assert artifact["sha256"] == hypernova.Artifact.open(artifacts[0]).sha256


class TestLife:
    @pytest.mark.slow
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_ends_it_after_the_answer(self, artifacts: list[Path], number: int) -> None:
        with serving("-a", artifacts[0]) as server:
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
                body = b'{"text": "Join two tables"}'
                connection.sendall(
                    b"POST /v1/route HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                    b"content-type: application/json\r\nexpect: 100-continue\r\n"
                    b"content-length: %d\r\n\r\n" % len(body)
                )
                assert connection.recv(100).startswith(b"HTTP/1.1 100 ")  # it waits for the body
                server.process.send_signal(number)
                time.sleep(0.3)
                connection.sendall(body)
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 200")
            assert server.process.wait(30) == 0
        assert not any("Traceback" in line for line in server.lines)

    @pytest.mark.slow
    def test_it_listens_to_this_machine_alone(self, server: Server) -> None:
        listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
        port = f":{server.port:04X} "
        places = [
            line.split()[1] for line in listening.splitlines() if port in line and " 0A " in line
        ]
        assert places == [f"0100007F:{server.port:04X}"]

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("options", "named"),
        [
            (("-a", "nowhere.hnv"), "nowhere.hnv"),
            (("--host", "192.0.2.1"), "192.0.2.1"),
            (("--token-file", "nowhere.token"), "nowhere.token"),
        ],
    )
    def test_what_a_user_can_mend_is_one_line(self, options: tuple[str, ...], named: str) -> None:
        assert named in fails_in_one_line("serve", "--port", 0, *options)

    @pytest.mark.parametrize(
        ("option", "named"),
        [
            ("--watch", "--watch needs --artifact"),
            ("--access-log-text", "--access-log-text needs --access-log"),
            ("--sketch", "--sketch needs --log FOLDER"),
        ],
    )
    def test_an_option_without_the_one_that_it_needs_is_wrong_usage(
        self, option: str, named: str
    ) -> None:
        done = run("serve", "--port", 0, option, code=2)
        assert done.stderr.startswith(f"hypernova serve: {named}")
        assert len(done.stderr.splitlines()) == 1

    @pytest.mark.slow
    def test_a_port_in_use(self, server: Server) -> None:
        assert str(server.port) in fails_in_one_line("serve", "--port", server.port)
