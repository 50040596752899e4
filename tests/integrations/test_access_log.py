"""The access log: the file that lines go to, and what a served process writes there.

Not here: answers themselves (`test_serve.py`).
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from hypernova.errors import WriteError
from hypernova.integrations.server import AccessLog
from support.commands import fails_in_one_line, run_python
from support.factories import fitted_to_example
from support.server import Server, metrics, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "s3cret-t0ken"
SECRET = "the launch is on Tuesday"


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines() if line]


def eventually(holds: Callable[[], object]) -> None:
    for _ in range(2000):
        if holds():
            return
        time.sleep(0.005)
    raise AssertionError("it never came to hold")


class TestFile:
    def test_every_line_is_written_once_and_in_order(self, tmp_path: Path) -> None:
        file = tmp_path / "a.jsonl"
        log = AccessLog(file)
        for number in range(1000):
            log.write({"number": number})
        log.close()
        log.close()
        assert [line["number"] for line in lines_of(file)] == list(range(1000))
        assert file.stat().st_mode & 0o007 == 0  # others may not read it

    def test_lines_appear_while_it_is_open(self, tmp_path: Path) -> None:
        log = AccessLog(tmp_path / "a.jsonl")
        for number in range(3):
            log.write({"number": number})
            eventually(lambda n=number: len(lines_of(tmp_path / "a.jsonl")) == n + 1)
        log.close()

    def test_a_renamed_or_truncated_file_goes_on(self, tmp_path: Path) -> None:
        """The two ways in which logrotate rotates, without any signal."""
        file, old = tmp_path / "a.jsonl", tmp_path / "a.jsonl.1"
        log = AccessLog(file)
        log.write({"number": 1})
        eventually(lambda: lines_of(file))
        file.rename(old)
        log.write({"number": 2})
        eventually(file.exists)
        eventually(lambda: lines_of(file))
        os.truncate(file, 0)
        log.write({"number": 3})
        log.close()
        assert [line["number"] for line in lines_of(old)] == [1]
        assert [line["number"] for line in lines_of(file)] == [3]

    def test_processes_share_a_file(self, tmp_path: Path) -> None:
        """A child that opens the file itself, and one that was forked with the log open."""
        program = """
import os, sys
from hypernova.integrations.server import AccessLog
log = AccessLog(sys.argv[1])
log.write({"from": "parent", "n": 0})
children = []
for name in ("opened", "inherited"):
    child = os.fork()
    if child == 0:
        if name == "opened":
            log = AccessLog(sys.argv[1])
        for n in range(400):
            log.write({"from": name, "n": n, "long": "x" * n})
        log.close()
        os._exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
log.close()
"""
        run_python("-c", program, tmp_path / "a.jsonl", code=0)
        found = lines_of(tmp_path / "a.jsonl")
        for name, number in (("parent", 1), ("opened", 400), ("inherited", 400)):
            assert [line["n"] for line in found if line["from"] == name] == list(range(number))

    def test_a_full_disk_loses_lines_and_says_so_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        log = AccessLog("/dev/full")
        lost: list[int] = []
        log.on_lost = lost.append
        for number in range(100):
            log.write({"number": number})
            eventually(lambda n=number: sum(lost) == n + 1 if n in (0, 99) else True)
        log.close()
        assert sum(lost) == 100
        assert caplog.text.count("No space left") == 1

    def test_a_line_cut_short_spoils_no_other(self, tmp_path: Path) -> None:
        """A limit on the file's size cuts a write as a full disk does."""
        program = """
import resource, sys, time
from hypernova.integrations.server import AccessLog
log, lost = AccessLog(sys.argv[1]), []
log.on_lost = lost.append
resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
log.write({"n": 1, "long": "x" * 100})
log.write({"n": 2, "long": "x" * 100})
while sum(lost) < 1: time.sleep(0.005)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.write({"n": 3})
log.close()
print(lost)
"""
        done = run_python("-c", program, tmp_path / "a.jsonl", code=0)
        assert done.stdout == "[1]\n"
        whole, torn, last = (tmp_path / "a.jsonl").read_text().splitlines()
        assert (json.loads(whole)["n"], json.loads(last)) == (1, {"n": 3})
        assert torn == '{"n":2,"long":"x' + "x" * (150 - len(whole) - 1 - 16)

    def test_a_pipe_that_nobody_reads_holds_nobody_up(self) -> None:
        reading, writing = os.pipe()
        log = AccessLog(f"/dev/fd/{writing}")
        lost: list[int] = []
        log.on_lost = lost.append
        long = "x" * (1 << 20)
        for _ in range(16):
            log.write({"long": long})
        assert sum(lost) > 0
        # The thread ends once the pipe does.
        os.close(reading)
        log.close()
        os.close(writing)

    @pytest.mark.parametrize("name", ["no folder/a.jsonl", "", "a\0b"])
    def test_a_file_that_cannot_be_made(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(WriteError, match="cannot be written"):
            AccessLog(f"{tmp_path}/{name}")


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
    with server.client(headers={"authorization": f"Bearer {TOKEN}"}) as client:
        yield client


class TestServed:
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

            eventually(there)
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

        eventually(there)

    def test_neither_token_nor_text(self, client: httpx.Client, place: Path, line: Any) -> None:
        """Not even where a caller puts them by mistake."""
        for answer in (
            client.get(f"/v1/{TOKEN}"),
            client.post("/v1/outcomes", json={"id": SECRET, "score": 1}),
            client.post("/v1/route", content=SECRET, headers={"content-type": "application/json"}),
        ):
            line(answer)
        client.get("/healthz", headers={"x-request-id": TOKEN})
        eventually(lambda: '"request_id":"[token]"' in (place / "access.jsonl").read_text())
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
        eventually((place / "access.jsonl").exists)
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
            eventually(lambda: metrics(client)["hypernova_access_log_lost_total", ()] > before)
        finally:
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, no_limit)
        assert "access.jsonl" in server.wait_for("lines of the access log are lost")

    def test_each_of_many_at_once_gets_its_own(self, server: Server) -> None:
        wrong: list[str] = []

        def ask(name: str) -> None:
            with server.client(headers={"authorization": f"Bearer {TOKEN}"}) as client:
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


def test_text_where_it_is_asked_for(place: Path, tmp_path: Path) -> None:
    """To standard output, which is a file here; a long text is cut."""
    command = [sys.executable, "-m", "hypernova.cli", "serve", "--port", "0"]
    options = ["-a", str(place / "r.hnv"), "--access-log", "-", "--access-log-text"]
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen([*command, *options], stdout=out, stderr=err)
    try:
        eventually(lambda: "serving at" in (tmp_path / "err").read_text())
        url = (tmp_path / "err").read_text().split("serving at ")[1].split()[0]
        said = (("user", SECRET), ("assistant", "When?"), ("user", "At ten"))
        messages = [{"role": role, "content": content} for role, content in said]
        httpx.post(f"{url}/v1/route", json={"messages": messages})
        httpx.post(f"{url}/v1/route", json={"text": "ä" * 10_000, "allow": []})
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    first, second = lines_of(tmp_path / "out")
    assert first["texts"] == [SECRET, "At ten"]
    assert second["texts"] == ["ä" * 8192]
    assert second["texts_cut"] is True
    assert second["status"] >= 400  # the text of a request that fails is there, too


@pytest.mark.slow
def test_what_a_user_can_mend_is_one_line(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    options = ("--port", 0, "--token-file", token, "--access-log", token)
    assert "overwritten" in fails_in_one_line("serve", *options)
    assert token.read_text() == TOKEN


def test_a_closed_standard_output_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may be that of another file by then; Python has None where it was closed."""
    monkeypatch.setattr(sys, "__stdout__", None)
    with pytest.raises(WriteError, match=r"standard output: cannot be written \(Bad file"):
        AccessLog("-")
