"""The memory of the header Idempotency-Key: its keys, its time and its bounds.

Not here: outcomes that a served process gets again (`test_serve_operation.py`).
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypernova.integrations.server.http.errors import HttpError
from hypernova.integrations.server.records.idempotency import IdempotencyKeys, idempotency_key


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
