"""Bodies sent to `hypernova serve`: those it refuses, and clients that go before they are read.

Not here: heads and connections (`test_serve_connections.py`), and what a body asks for
(`test_serve.py`).
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import httpx
import pytest
import requests

import hypernova
from hypernova.integrations.server.http import bodies, schemas
from support.commands import fails_in_one_line
from support.factories import fitted_to_example
from support.server import Server, assert_error, metrics, resident, serving

# Nearly all need a server.
pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "s3cret"
GUARDED = {"authorization": f"Bearer {TOKEN}"}
JSON = {"content-type": "application/json"}
LARGE = 50 << 20
DEEP = "[" * 10**5 + "]" * 10**5
DEEPER = '{"a":' * 10**5 + "1" + "}" * 10**5


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("artifact") / "r.hnv"
    fitted_to_example(3).save(path)
    return path


@pytest.fixture(scope="module")
def server(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text(TOKEN)
    with serving("-a", artifact, "--token-file", token) as server:
        yield server
        assert not any("Traceback" in line for line in server.lines)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client(headers=GUARDED) as client:
        yield client


def by_http_client(server: Server, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/v1/route", body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def by_http_client_chunked(
    server: Server, headers: dict[str, str], body: bytes
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    chunks = (body[i : i + (1 << 16)] for i in range(0, len(body), 1 << 16))
    connection.request("POST", "/v1/route", chunks, headers, encode_chunked=True)
    answer = connection.getresponse()
    return answer.status, answer.read()


def by_httpx(server: Server, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    answer = httpx.post(f"{server.url}/v1/route", content=body, headers=headers, timeout=30)
    return answer.status_code, answer.content


def by_requests(server: Server, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    answer = requests.post(f"{server.url}/v1/route", data=body, headers=headers, timeout=30)
    return answer.status_code, answer.content


def by_requests_chunked(server: Server, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    chunks = (body[i : i + (1 << 16)] for i in range(0, len(body), 1 << 16))
    answer = requests.post(f"{server.url}/v1/route", data=chunks, headers=headers, timeout=30)
    return answer.status_code, answer.content


def by_curl(server: Server, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    command = ["curl", "-sS", "-m", "30", "-w", "%{stderr}%{http_code}", "--data-binary", "@-"]
    command += [part for pair in headers.items() for part in ("-H", ": ".join(pair))]
    done = subprocess.run(
        [*command, f"{server.url}/v1/route"], input=body, capture_output=True, check=True
    )
    return int(done.stderr), done.stdout


class TestRefused:
    @pytest.mark.parametrize(
        "send",
        [by_http_client, by_http_client_chunked, by_httpx, by_requests, by_requests_chunked,
         by_curl],
    )  # fmt: skip
    def test_a_client_that_sends_all_of_its_body_first_finds_the_answer(
        self, server: Server, send: Callable[..., tuple[int, bytes]]
    ) -> None:
        before = resident(server.process.pid)
        plain = {"content-type": "text/plain", **GUARDED}
        for headers, size, status, code in (
            ({**JSON, **GUARDED}, LARGE, 413, "too_large"),
            (JSON, LARGE, 401, "unauthorized"),
            (plain, 3 << 20, 415, "not_json"),
        ):
            found, answer = send(server, headers, b" " * size)
            assert (found, json.loads(answer)["error"]) == (status, code)
        assert resident(server.process.pid) < before + (20 << 20)

    def test_what_is_dropped_is_bounded(self, server: Server) -> None:
        sent = 0
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(
                b"POST /v1/route HTTP/1.1\r\nhost: a\r\ncontent-length: 999999999\r\n\r\n"
            )
            with contextlib.suppress(ConnectionError):
                while sent < 300 << 20:
                    sent += connection.send(b"a" * 65536)
        assert sent < 90 << 20

    def test_a_small_body_that_nobody_reads_keeps_the_connection(
        self, client: httpx.Client
    ) -> None:
        for path in ("/nowhere", "/healthz", "/v1/route"):
            answer = client.post(path, content=b"a" * 1000, headers={"content-type": "a/b"})
            assert answer.status_code in (404, 405, 415)
            assert "connection" not in answer.headers
        assert client.get("/healthz").status_code == 200

    @pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip"])
    def test_a_compressed_body_is_said_to_be_one(self, client: httpx.Client, coding: str) -> None:
        body = gzip.compress(b'{"text": "a"}')
        headers = {**JSON, "content-encoding": coding}
        message = assert_error(
            client.post("/v1/route", content=body, headers=headers), 415, "encoded"
        )
        assert coding in message
        headers["content-encoding"] = "identity"
        answer = client.post("/v1/route", content=b'{"text": "a"}', headers=headers)
        assert answer.status_code == 200


class TestMethods:
    @pytest.mark.parametrize("path", ["/healthz", "/metrics", "/v1/artifact", "/openapi.json"])
    def test_head_answers_as_get_without_the_body(self, client: httpx.Client, path: str) -> None:
        head, whole = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]
        if path != "/metrics":
            assert head.headers["content-length"] == str(len(whole.content))

    def test_head_without_a_token(self, server: Server) -> None:
        with server.client() as client:
            assert client.head("/healthz").status_code == 200
            assert client.head("/metrics").status_code == 401

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("HEAD", "/v1/route", {"POST"}),
            ("OPTIONS", "/v1/route", {"POST"}),
            ("OPTIONS", "/healthz", {"GET", "HEAD"}),
            ("DELETE", "/metrics", {"GET", "HEAD"}),
        ],
    )
    def test_another_method_is_told_which_are_allowed(
        self, client: httpx.Client, method: str, path: str, allowed: set[str]
    ) -> None:
        answer = client.request(method, path)
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == allowed


class TestHungUp:
    @pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
    def test_a_client_that_hangs_up_is_counted_as_such(self, artifact: Path, reset: bool) -> None:
        with serving("-a", artifact) as server, server.client() as client:
            for _ in range(3):
                with socket.create_connection(("127.0.0.1", server.port)) as connection:
                    connection.sendall(
                        b"POST /v1/route HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n"
                        b"content-type: application/json\r\ncontent-length: 100\r\n\r\n"
                    )
                    assert connection.recv(100).startswith(b"HTTP/1.1 100")  # it reads the body
                    connection.sendall(b"{")
                    if reset:
                        linger = b"\1\0\0\0\0\0\0\0"
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            key = ("hypernova_requests_total", (("path", "/v1/route"), ("status", "499")))
            for _ in range(500):
                if (found := metrics(client)).get(key) == 3:
                    break
                time.sleep(0.01)
            assert found[key] == 3
            assert not any(dict(labels).get("status") == "500" for _, labels in found)
            assert server.stop() == 0
        assert [line for line in server.lines if "serving at" not in line] == [
            "hypernova: INFO: stopped\n"
        ]


class TestJson:
    @pytest.mark.parametrize(
        "escaped", [r"\ud800 Join two tables", r"Join \udc00\ud800 tables", r"Join \uD83D\\ud83d"]
    )
    def test_half_a_surrogate_pair_is_read_as_route_reads_it(
        self, client: httpx.Client, artifact: Path, escaped: str
    ) -> None:
        router = hypernova.Router.open(artifact)
        text = json.loads(f'"{escaped}"')
        expected = router.route(text)
        bodies = [
            f'{{"text": "{escaped}"}}',
            f'{{"messages": [{{"role": "user", "content": "{escaped}"}}]}}',
            f'{{"messages": [{{"role": "user", "content": '
            f'[{{"type": "text", "text": "{escaped}"}}]}}]}}',
        ]
        answers = [client.post("/v1/route", content=body, headers=JSON) for body in bodies]
        batch = f'{{"texts": ["{escaped}", "a"]}}'
        found = [answer.json() for answer in answers]
        found.append(
            client.post("/v1/route/batch", content=batch, headers=JSON).json()["decisions"][0]
        )
        for decision in found:
            assert (decision["model"], decision["cluster"]) == (expected.model, expected.cluster)
            assert decision["distance"] == pytest.approx(expected.distance, abs=1e-6)

    @pytest.mark.parametrize("fault", ["", r"\ud800"], ids=["plain", "half a pair"])
    def test_a_fault_is_named_alike_with_half_a_pair_beside_it(
        self, client: httpx.Client, fault: str
    ) -> None:
        for body, code, message in (
            (f'{{"messages": ["{fault}"]}}', "bad_messages", "messages[0]: Input should be an obj"),
            (f'{{"texts": "{fault}"}}', "bad_request", "texts: "),
            (
                f'{{"text": "{fault}a", "cost_weight": "1"}}',
                "bad_request",
                "cost_weight: Input should be a valid number",
            ),
        ):
            answer = client.post("/v1/route", content=body, headers=JSON)
            assert assert_error(answer, 400, code).startswith(message)

    def test_whole_pairs_stay_whole(self) -> None:
        body = rb'{"text": "\ud83d\ude00 \ud800"}'
        assert bodies.parse(schemas.RouteRequest, body).text == "\U0001f600 \ufffd"

    @pytest.mark.parametrize(
        "body",
        [
            r'{"text": "a", "allow": ["\ud800"]}',
            r'{"text": "a", "prices": {"\ud800": 1}}',
            r'{"text": "a", "\ud800": 1}',
            r'{"text": "\ud800", "text": "a"}',
            r'{"text": "\ud800", "cost_weight": NaN}',
            r'{"text": "\ud800", "cost_weight": "1"}',
            r'{"text": "\ud800", "x": 1}',
            r'{"text": "\ud800"',
            r'["\ud800"]',
        ],
    )
    def test_half_a_pair_elsewhere_or_with_another_fault_is_refused(
        self, client: httpx.Client, body: str
    ) -> None:
        answer = client.post("/v1/route", content=body, headers=JSON)
        assert "RouteRequest" not in assert_error(answer, 400, "bad_request")

    @pytest.mark.parametrize(
        ("body", "key"),
        [
            ('{"text": "a", "text": "b"}', "text"),
            ('{"text": "a", "text": "a"}', "text"),
            (r'{"text": "a", "te\u0078t": "b"}', "text"),
            ('{"text" : "a", "text"\n:\t"b"}', "text"),
            ('{"text": "a", "max_cost_usd": 1, "max_cost_usd": null}', "max_cost_usd"),
            ('{"text": "a", "prices": {"x": 1, "x": 2}}', "x"),
            (r'{"text": "a", "prices": {"x\\": 1, "x\\": 2}}', "x"),
            ('{"messages": [{"role": "system", "role": "user", "content": "a"}]}', "role"),
            (
                '{"messages": [{"role": "user", "content": '
                '[{"type": "text", "text": "a", "text": "b"}]}]}',
                "text",
            ),
        ],
    )  # fmt: skip
    def test_a_key_that_stands_twice_is_refused(
        self, client: httpx.Client, body: str, key: str
    ) -> None:
        answer = client.post("/v1/route", content=body, headers=JSON)
        message = assert_error(answer, 400, "bad_request")
        assert key in message
        assert "twice" in message

    def test_a_text_that_looks_like_keys_is_not_refused(self, client: httpx.Client) -> None:
        for text in ('{"a": 1, "a": 2}', '":":":"', "\\", '\\":', 'Join "a" : "b"'):
            assert client.post("/v1/route", json={"text": text}).status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            b'\xef\xbb\xbf{"text": "a"}',
            '{"text": "a"}'.encode("utf-16"),
            '{"text": "a"}'.encode("utf-16-le"),
            '{"text": "a"}'.encode("utf-32"),
        ],
        ids=["mark", "utf-16", "utf-16-le", "utf-32"],
    )
    def test_another_encoding_is_named(self, client: httpx.Client, body: bytes) -> None:
        answer = client.post("/v1/route", content=body, headers=JSON)
        assert "UTF-8" in assert_error(answer, 400, "bad_request")

    @pytest.mark.parametrize(
        "body",
        [
            '{"text": "a", "cost_weight": 1' + "0" * 400 + "}",
            '{"text": "a", "cost_weight": 1' + "0" * 5000 + "}",
            '{"text": "a", "cost_weight": 1e999}',
            '{"text": "a", "cost_weight": "1"}',
            '{"text": "a", "cost_weight": true}',
            '{"text": "a", "explore": -Infinity}',
            '{"messages": [{"role": "user", "content": "a", "x": NaN}]}',
            '{"messages": [{"role": "user", "content": "a", "x": 1' + "0" * 5000 + "}]}",
            '{"messages": [{"role": "user", "content": "a", "x": ' + DEEP + "}]}",
            '{"messages": [{"role": "user", "content": "a", "x": ' + DEEPER + "}]}",
            r'{"text": "\ud800", "x": ' + DEEP + "}",
            r'{"messages": [{"role": "user", "content": "\ud800", "x": ' + DEEP + "}]}",
            *(
                r'{"messages": [{"role": "user", "content": "\ud800", "x": '
                + "[" * depth + "]" * depth + "}]}"
                for depth in (250, 500, 700, 990)
            ),
            '{"text": "a\rb"}',
            '{"text": "a"} ',
            '{"text": "a"}{}',
            "\x0b{}",
        ],
    )  # fmt: skip
    def test_what_json_does_not_allow_or_a_number_cannot_hold(
        self, client: httpx.Client, body: str
    ) -> None:
        if body == '{"text": "a"} ':
            assert client.post("/v1/route", content=body, headers=JSON).status_code == 200
            return
        assert_error(client.post("/v1/route", content=body, headers=JSON), 400, "bad_request")


@pytest.mark.parametrize(
    "given", [b"Bearer s3cret\xff", b"Bearer \xc3\xa9", b"\xff" * 100, b"Bearer s3cret, Bearer x"]
)
def test_a_token_of_any_bytes_is_refused(server: Server, given: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(
            b"GET /v1/artifact HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: "
            + given + b"\r\n\r\n"
        )  # fmt: skip
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("content", [b"\xff\xfes3cret", b"s\xe9cret", b"", None])
def test_a_token_file_that_holds_none_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    token = tmp_path / "token"
    if content is None:
        token.mkdir()
    else:
        token.write_bytes(content)
    assert "token" in fails_in_one_line("serve", "--port", 0, "--token-file", token)
