"""Outcomes that are sent again: the header Idempotency-Key, and outcomes of failed requests.

Not here: what is learned from the log (`tests/outcome_log`).
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova.integrations.server.http_errors import HttpError
from hypernova.integrations.server.idempotency import IdempotencyKeys, idempotency_key
from support.factories import fitted_to_example
from support.server import Server, assert_error, metrics, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class TestKeys:
    @pytest.mark.parametrize(
        ("values", "key"),
        [
            ([], None),
            (["a"], "a"),
            (['"a b"'], "a b"),
            ([r'"a\"\\b"'], r'a"\b'),
            (['"a'], '"a'),
            (["x" * 128], "x" * 128),
            (['"' + "x" * 128 + '"'], "x" * 128),
        ],
    )
    def test_a_key_is_read_with_and_without_quotes(
        self, values: list[str], key: str | None
    ) -> None:
        assert idempotency_key(values) == key

    @pytest.mark.parametrize("values", [[""], ['""'], ["a", "a"], ["x" * 129], ["é"], ["a\tb"]])
    def test_no_key(self, values: list[str]) -> None:
        with pytest.raises(HttpError) as caught:
            idempotency_key(values)
        assert (caught.value.status, caught.value.code) == (400, "bad_key")

    @given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=128))
    def test_quoting_is_undone(self, key: str) -> None:
        quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
        assert idempotency_key([quoted]) == key

    def test_an_answer_is_kept_for_its_time(self) -> None:
        clock = Clock()
        keys = IdempotencyKeys(kept_s=10, clock=clock)
        assert keys.answer("k", b"a", lambda: 1) == (1, False)
        clock.now = 9.9
        assert keys.answer("k", b"a", lambda: 2) == (1, True)
        clock.now = 10
        assert keys.answer("k", b"b", lambda: 3) == (3, False)
        assert len(keys) == 1

    def test_the_number_is_bounded_and_the_oldest_leaves(self) -> None:
        keys = IdempotencyKeys(max_keys=3)
        for key in "abcd":
            keys.answer(key, b"", lambda key=key: key)
        assert len(keys) == 3
        assert keys.answer("d", b"", lambda: "new") == ("d", True)
        assert keys.answer("a", b"", lambda: "new") == ("new", False)

    def test_what_failed_may_be_sent_again(self) -> None:
        keys = IdempotencyKeys()
        with pytest.raises(ZeroDivisionError):
            keys.answer("k", b"a", lambda: 1 // 0)
        assert keys.answer("k", b"b", lambda: 2) == (2, False)

    def test_the_first_is_in_work(self) -> None:
        keys = IdempotencyKeys()
        begun, go_on = threading.Event(), threading.Event()
        found: list[Any] = []

        def work() -> int:
            begun.set()
            assert go_on.wait(20)
            return 1

        thread = threading.Thread(target=lambda: found.append(keys.answer("k", b"a", work)))
        thread.start()
        assert begun.wait(20)
        for content, status, code in ((b"a", 409, "key_in_work"), (b"b", 422, "key_reused")):
            with pytest.raises(HttpError) as caught:
                keys.answer("k", content, lambda: 2)
            assert (caught.value.status, caught.value.code) == (status, code)
        go_on.set()
        thread.join()
        assert found == [(1, False)]
        assert keys.answer("k", b"a", lambda: 2) == (1, True)

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.sampled_from([b"1", b"2"]), st.booleans()),
            max_size=30,
        )
    )
    def test_each_key_does_its_work_once(self, asked: list[tuple[str, bytes, bool]]) -> None:
        """Against a dict that forgets nothing."""
        keys, expected, done = IdempotencyKeys(), {}, []
        for key, content, fails in asked:

            def work(key: str = key, content: bytes = content, fails: bool = fails) -> str:
                if fails:
                    raise OSError
                done.append(key)
                return f"{key}{content!r}"

            try:
                answer, repeated = keys.answer(key, content, work)
            except OSError:
                assert key not in expected
            except HttpError as error:
                refused = (error.code, expected[key] != content)
                assert refused == ("key_reused", True)
            else:
                assert repeated == (key in expected)
                assert answer == f"{key}{content!r}"
                expected.setdefault(key, content)
        assert sorted(done) == sorted(expected)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outcomes")
    fitted_to_example(3).save(folder / "r.hnv")
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    options = ("-a", place / "r.hnv", "--log", place / "log")
    with serving(*options, "--access-log", place / "access.jsonl") as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


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


class TestServed:
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
        with server.client() as client:
            body = {"id": decide(client), "score": 1}
        statuses: list[int] = []

        def send() -> None:
            with server.client() as client:
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
    """A key that reaches another process is written again, and counted as sent again."""
    options = ("-a", place / "r.hnv", "--workers", 2, "--log", tmp_path / "log")
    with serving(*options, "--access-log", tmp_path / "access.jsonl") as server:
        with server.client() as client:
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
    lines = map(json.loads, (tmp_path / "access.jsonl").read_text().splitlines())
    asked = [line for line in lines if line["path"] == "/v1/outcomes"]
    assert sorted(int(line["request_id"]) for line in asked) == list(range(20))
    assert [line["outcome"] for line in asked].count("recorded") == written
