"""Connections to `hypernova serve`: heads, idle time, number, and what is no request.

Not here: bodies and what refuses them (`test_serve_bodies.py`).
"""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.factories import fitted_to_example
from support.server import Server, metrics, resident, serving

# All need a server with connections of their own.
pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from collections.abc import Iterator

GET = b"GET /healthz HTTP/1.1\r\nhost: a\r\n"
POST = b"POST /v1/route HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
BODY = b'{"text": "Join two tables"}'
MIB = 1 << 20


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("artifact") / "r.hnv"
    fitted_to_example(3).save(path)
    return path


@pytest.fixture(scope="module")
def server(artifact: Path) -> Iterator[Server]:
    with serving("-a", artifact, env=None) as server:
        yield server
        assert not any("Traceback" in line for line in server.lines)


@pytest.fixture(scope="module")
def impatient(artifact: Path) -> Iterator[Server]:
    """A server with little time for anything."""
    options = ("--head-timeout", "0.4", "--idle-timeout", "0.4", "--timeout", "0.8")
    with serving("-a", artifact, *options) as server:
        yield server
        assert not any("Traceback" in line for line in server.lines)


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=15)


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server ends."""
    found = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(1 << 16):
            found += data
    return bytes(found)


def one(connection: socket.socket) -> bytes:
    """One answer, with its body, and no more."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(1 << 16)
    head = found.split(b"\r\n\r\n")[0]
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"content-length" in line
    )
    while len(found) < len(head) + 4 + length:
        found += connection.recv(1 << 16)
    return found


def send_until_refused(connection: socket.socket, piece: bytes, most: int) -> int:
    """Send up to `most` bytes, and return the number that the server took."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < most:
            connection.sendall(piece)
            sent += len(piece)
    return sent


def assert_error_closes(answer: bytes, status: int, code: str) -> str:
    """Assert one answer, an error that ends the connection, and return its message."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0].startswith(f"http/1.1 {status} ")
    assert {"content-type: application/json", "connection: close"} <= set(lines)
    assert f"content-length: {len(body)}" in lines
    fault = json.loads(body)
    assert (set(fault), fault["error"]) == ({"error", "message"}, code)
    return str(fault["message"])


class TestHeads:
    @pytest.mark.parametrize("begins", [b"GET /", GET + b"x: ", GET + b"x"], ids=["url", "x", "n"])
    def test_a_head_that_does_not_end_is_refused_and_not_kept(
        self, server: Server, begins: bytes
    ) -> None:
        before = resident(server.process.pid)
        with connect(server) as connection:
            connection.sendall(begins)
            send_until_refused(connection, b"a" * 65536, 60 * MIB)
            assert resident(server.process.pid) < before + 10 * MIB
            connection.shutdown(socket.SHUT_WR)
            assert "16384" in assert_error_closes(rest(connection), 431, "head_too_large")

    @pytest.mark.parametrize(
        "head",
        [
            GET + b"x: " + b"a" * 20_000 + b"\r\n\r\n",
            GET + b"".join(b"x-%d: a\r\n" % i for i in range(120)) + b"\r\n",
            b"GET /healthz?" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
            POST + b"x: " + b"a" * 20_000 + b"\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY,
        ],
        ids=["value", "number", "url", "body"],
    )
    def test_a_whole_head_that_is_too_large_is_refused(self, server: Server, head: bytes) -> None:
        with connect(server) as connection:
            connection.sendall(head)
            assert_error_closes(rest(connection), 431, "head_too_large")

    def test_a_large_head_within_the_limit_is_answered(self, server: Server) -> None:
        with connect(server) as connection:
            connection.sendall(GET + b"x: " + b"a" * 15_000 + b"\r\nconnection: close\r\n\r\n")
            assert rest(connection).startswith(b"HTTP/1.1 200 ")

    @pytest.mark.parametrize("first", [False, True], ids=["later", "first"])
    def test_a_head_of_a_byte_now_and_then_is_given_up(
        self, impatient: Server, first: bool
    ) -> None:
        with connect(impatient) as connection:
            if not first:
                connection.sendall(GET + b"\r\n")
                assert one(connection).startswith(b"HTTP/1.1 200 ")
            answer = b""
            start = time.monotonic()
            with contextlib.suppress(OSError):
                for byte in (GET * 20)[:200]:
                    connection.sendall(bytes([byte]))
                    connection.settimeout(0.05)
                    with contextlib.suppress(TimeoutError):
                        answer = connection.recv(1 << 16)
                        break
            assert time.monotonic() - start < 5
            connection.settimeout(15)
            assert_error_closes(answer + rest(connection), 408, "slow_head")

    @pytest.mark.parametrize("sent", [b"", GET + b"\r\n"], ids=["new", "idle"])
    def test_a_connection_that_asks_nothing_is_closed(self, impatient: Server, sent: bytes) -> None:
        with connect(impatient) as connection:
            connection.sendall(sent)
            answer = rest(connection)
        assert answer.count(b"HTTP/1.1") == bool(sent)

    def test_blank_lines_keep_no_connection_open(self, impatient: Server) -> None:
        with connect(impatient) as connection:
            connection.sendall(GET + b"\r\n")
            start = time.monotonic()
            with contextlib.suppress(OSError):
                while time.monotonic() - start < 5:
                    connection.sendall(b"\r\n")
                    time.sleep(0.05)
            assert time.monotonic() - start < 4

    @pytest.mark.parametrize("begins", [b"0\r\nx: ", b"1;x="], ids=["trailer", "extension"])
    def test_what_frames_a_body_is_bounded(self, server: Server, begins: bytes) -> None:
        before = resident(server.process.pid)
        with connect(server) as connection:
            connection.sendall(POST + b"transfer-encoding: chunked\r\n\r\n" + begins)
            send_until_refused(connection, b"a" * 65536, 60 * MIB)
            assert resident(server.process.pid) < before + 10 * MIB
            connection.shutdown(socket.SHUT_WR)
            assert_error_closes(rest(connection), 431, "head_too_large")

    def test_a_body_of_many_small_chunks_is_read(self, server: Server) -> None:
        body = b'{"text": "%b"}' % (b"sort " * 400)
        chunks = b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in body)
        with connect(server) as connection:
            connection.sendall(
                POST + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n" + chunks
                + b"0\r\nauthorization: x\r\n\r\n"
            )  # fmt: skip
            assert rest(connection).startswith(b"HTTP/1.1 200 ")


class TestNumber:
    def test_a_new_connection_takes_the_place_of_an_idle_one(self, artifact: Path) -> None:
        with serving("-a", artifact, "--max-connections", "8") as server:
            with contextlib.ExitStack() as stack:
                idle = [stack.enter_context(connect(server)) for _ in range(40)]
                for connection in idle[20:]:  # some have asked before
                    with contextlib.suppress(OSError):
                        connection.sendall(GET + b"\r\n")
                with server.client() as client:
                    assert client.post("/v1/route", json={"text": "a"}).status_code == 200
                ended = [connection for connection in idle[:20] if rest(connection) == b""]
                assert len(ended) == 20
                sockets = list(Path(f"/proc/{server.process.pid}/fd").iterdir())
                assert len(sockets) < 40
            with connect(server) as connection:
                connection.sendall(GET + b"\r\n")
                assert connection.recv(100).startswith(b"HTTP/1.1 200 ")

    def test_where_all_hold_requests_one_more_is_refused(self, artifact: Path) -> None:
        with (
            serving("-a", artifact, "--max-connections", "4") as server,
            contextlib.ExitStack() as stack,
        ):
            held = [stack.enter_context(connect(server)) for _ in range(4)]
            for connection in held:
                connection.sendall(
                    POST + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(BODY)
                )
                assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
            for _ in range(10):
                with connect(server) as connection:
                    connection.sendall(GET + b"\r\n")
                    connection.shutdown(socket.SHUT_WR)
                    assert_error_closes(rest(connection), 503, "overloaded")
            for connection in held:
                connection.sendall(BODY)
                assert one(connection).startswith(b"HTTP/1.1 200 ")
            with server.client() as client:
                assert client.get("/healthz").status_code == 200
                found = metrics(client)
            assert found["hypernova_requests_total", (("path", "other"), ("status", "503"))] == 10

    def test_a_client_that_reads_no_answer_is_given_up(self, impatient: Server) -> None:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(15)
            connection.connect(("127.0.0.1", impatient.port))
            asked = b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n"
            assert send_until_refused(connection, asked, 100 * MIB) < 100 * MIB

    def test_aborted_connections_leave_nothing(self, server: Server) -> None:
        def descriptors() -> int:
            return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))

        before = descriptors()
        pieces = [b"", b"GET /he", POST + b"content-length: 100\r\n\r\n{", POST + b"\r\n", GET]
        for i in range(300):
            with connect(server) as connection:
                connection.sendall(pieces[i % len(pieces)])
                if i % 2:  # a reset in place of an end
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        for _ in range(200):
            if descriptors() <= before:
                break
            time.sleep(0.01)
        assert descriptors() <= before
        with server.client() as client:
            assert metrics(client)["hypernova_in_flight", ()] == 0


class TestRequests:
    def test_pipelined_requests_are_answered_in_order(self, server: Server) -> None:
        with connect(server) as connection:
            whole = POST + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
            last = b"GET /nowhere HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
            connection.sendall((GET + b"\r\n" + whole) * 10 + last)
            answer = rest(connection)
        parts = answer.split(b"HTTP/1.1 ")[1:]
        assert [part[:3] for part in parts] == [b"200"] * 20 + [b"404"]
        assert [b'"ranking"' in part for part in parts] == [False, True] * 10 + [False]

    def test_pipelined_requests_without_end_are_not_kept(self, server: Server) -> None:
        before = resident(server.process.pid)
        with connect(server) as connection:
            send_until_refused(connection, (GET + b"\r\n") * 2000, 30 * MIB)
            connection.shutdown(socket.SHUT_WR)
            answer = rest(connection)
        assert resident(server.process.pid) < before + 20 * MIB
        assert 1 <= answer.count(b"HTTP/1.1 200 ") < 1000

    @pytest.mark.parametrize(
        "request_",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
            b"HELLO\r\n\r\n",
            POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\n{}    ",
            POST + b"content-length: -1\r\n\r\n",
            POST + b"content-length: " + b"9" * 5000 + b"\r\n\r\n",
            POST + b"transfer-encoding: gzip\r\n\r\n",
            POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
            GET + b"x : a\r\n\r\n",
            GET + b"x: a\rb: c\r\n\r\n",
            GET + b"x: a\0b\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
            b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
            b"GET /healthz HTTP/9.9\r\nhost: a\r\n\r\n",
        ],
    )
    def test_what_is_no_request_is_refused_in_the_one_form(
        self, server: Server, request_: bytes
    ) -> None:
        with connect(server) as connection:
            connection.sendall(request_)
            connection.shutdown(socket.SHUT_WR)
            assert_error_closes(rest(connection), 400, "bad_http")

    def test_what_follows_a_request_and_is_none_costs_it_no_answer(self, server: Server) -> None:
        with connect(server) as connection:
            connection.sendall(
                POST + b"content-length: %d\r\n\r\n" % len(BODY) + BODY + b"\0and more"
            )
            answer = rest(connection)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1 ") == 1  # and the connection ended

    def test_http_1_0(self, server: Server) -> None:
        with connect(server) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert rest(connection).endswith(b'{"status":"ok"}')

    def test_a_client_that_offers_another_protocol_is_answered_in_this_one(
        self, server: Server
    ) -> None:
        offer = (
            b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
        )
        with connect(server) as connection:
            connection.sendall(POST + offer + b"content-length: %d\r\n\r\n" % len(BODY) + BODY)
            connection.sendall(GET + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n")
            connection.sendall(b"GET /nowhere HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            parts = rest(connection).split(b"HTTP/1.1 ")[1:]
        assert [part[:3] for part in parts] == [b"200", b"200", b"404"]

    def test_leave_is_given_only_for_a_body_that_is_read(self, server: Server) -> None:
        wait = b"expect: 100-continue\r\n"
        with connect(server) as connection:
            connection.sendall(POST + wait + b"content-length: %d\r\n\r\n" % len(BODY))
            assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(BODY)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        for path, more, status in (
            (b"/v1/route", b"content-length: 99999999\r\n", b"413"),
            (b"/v1/route", b"content-length: 9\r\ncontent-encoding: br\r\n", b"415"),
            (b"/nowhere", b"content-length: 9\r\n", b"404"),
        ):
            with connect(server) as connection:
                connection.sendall(POST.replace(b"/v1/route", path) + wait + more + b"\r\n")
                connection.shutdown(socket.SHUT_WR)
                answer = rest(connection)
            assert answer.startswith(b"HTTP/1.1 " + status)
            # Not told to send it, the client does not: its next bytes would be taken for it.
            assert b"connection: close" in answer


def test_no_more_connections_than_the_process_may_open_files(artifact: Path) -> None:
    options = ("-a", artifact, "--max-connections", "1000")
    with contextlib.ExitStack() as stack:
        with few_files(128):
            server = stack.enter_context(serving(*options))
        server.wait_for("at most 64 connections")
        held = [stack.enter_context(connect(server)) for _ in range(200)]
        with server.client() as client:
            assert client.get("/healthz").status_code == 200
        assert rest(held[0]) == b""


@contextlib.contextmanager
def few_files(number: int) -> Iterator[None]:
    """A limit of open files for the processes that are started in a block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_it_ends_while_clients_hold_connections(artifact: Path) -> None:
    with serving("-a", artifact) as server, contextlib.ExitStack() as stack:
        for sent in (b"", b"GET /he", GET + b"\r\n", POST + b"content-length: 9999999\r\n\r\n"):
            connection = stack.enter_context(connect(server))
            connection.sendall(sent)
        connection.recv(100)  # refused, with its body to come
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 5
    assert not any("Traceback" in line for line in server.lines)
