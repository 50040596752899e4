"""The server's application under too much work, and when it fails.

Not here: sockets and processes (`test_serve.py`).
"""

from __future__ import annotations

import asyncio
import gc
import threading

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

import hypernova
from hypernova.integrations.server import Limits, create_app
from support.paths import TABLE
from support.server import assert_error


class TestLimits:
    """The application without a socket, with an embedder that waits until it may go on."""

    @pytest.fixture
    def gate(self) -> threading.Event:
        return threading.Event()

    @pytest.fixture
    def waiting(self, gate: threading.Event) -> hypernova.Router:
        def embed(texts: list[str]) -> np.ndarray:
            if "WAIT" in texts:
                assert gate.wait(20)
            if "FAIL" in texts:
                raise RuntimeError("the embedder's own")
            return np.full((len(texts), 4), 0.5, dtype=np.float32)

        embedder = hypernova.CallableEmbedder(embed, name="waits", dim=4)
        table = hypernova.OutcomeTable.read(TABLE)
        return hypernova.Router(
            hypernova.fit(table, embedder=embedder, clusters=1), embedder=embedder
        )

    @pytest.mark.slow
    def test_more_than_may_be_in_flight_is_refused(
        self, waiting: hypernova.Router, gate: threading.Event
    ) -> None:
        app = create_app(waiting, limits=Limits(max_in_flight=2, threads=1))

        async def main() -> None:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://app"
            ) as client:
                held = [
                    asyncio.create_task(client.post("/v1/route", json={"text": "WAIT"}))
                    for _ in range(2)
                ]
                while (await samples(client))["hypernova_in_flight"] < 2:
                    await asyncio.sleep(0.005)
                answer = await client.post("/v1/route", json={"text": "now"})
                assert_error(answer, 503, "overloaded")
                assert answer.headers["retry-after"] == "1"
                # The loop is free all the while.
                assert (await client.get("/healthz")).status_code == 200
                gate.set()
                assert [(await task).status_code for task in held] == [200, 200]
                assert (await client.post("/v1/route", json={"text": "now"})).status_code == 200

        asyncio.run(asyncio.wait_for(main(), 20))

    @pytest.mark.slow
    def test_what_takes_too_long_is_given_up_and_still_counts(
        self, waiting: hypernova.Router, gate: threading.Event
    ) -> None:
        app = create_app(waiting, limits=Limits(max_in_flight=2, threads=1, timeout_s=0.1))

        async def main() -> None:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://app"
            ) as client:
                answer = await client.post("/v1/route", json={"text": "WAIT"})
                assert_error(answer, 503, "timeout")
                # Its thread is not free before the embedder gives up the text.
                assert (await samples(client))["hypernova_in_flight"] == 1
                gate.set()
                while (await samples(client))["hypernova_in_flight"]:
                    await asyncio.sleep(0.005)
                assert (await client.post("/v1/route", json={"text": "now"})).status_code == 200

        asyncio.run(asyncio.wait_for(main(), 20))

    def test_what_fails_is_told_to_the_log_and_not_to_the_caller(
        self, waiting: hypernova.Router, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = create_app(waiting)

        async def main() -> None:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
                answer = await client.post("/v1/route", json={"text": "FAIL"})
                assert "own" not in assert_error(answer, 500, "internal")
                assert (await client.post("/v1/route", json={"text": "now"})).status_code == 200

        asyncio.run(asyncio.wait_for(main(), 20))
        assert "the embedder's own" in caplog.text

    @pytest.mark.slow
    def test_what_fails_after_its_time_was_up_is_not_told_at_all(
        self,
        waiting: hypernova.Router,
        gate: threading.Event,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        app = create_app(waiting, limits=Limits(threads=1, timeout_s=0.1))

        async def main() -> None:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://app"
            ) as client:
                assert_error(
                    await client.post("/v1/route/batch", json={"texts": ["WAIT", "FAIL"]}),
                    503,
                    "timeout",
                )
                gate.set()
                while (await samples(client))["hypernova_in_flight"]:
                    await asyncio.sleep(0.005)

        asyncio.run(asyncio.wait_for(main(), 20))
        gc.collect()
        assert caplog.text == ""

    @pytest.mark.slow
    def test_below_a_path_of_another_application(self, waiting: hypernova.Router) -> None:
        host = FastAPI()
        host.mount("/below", create_app(waiting, token=" s3cret "))

        async def main() -> None:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(host),
                base_url="http://app/below",
                headers={"authorization": "bearer s3cret"},
            ) as client:
                assert (await client.get("/v1/artifact")).status_code == 200
                assert (await client.post("/v1/route", json={"text": "a"})).status_code == 200
                assert_error(await client.get("/v1/artifact/"), 404, "not_found")
                assert_error(await client.post("/v1/route/", json={"text": "a"}), 404, "not_found")
                assert_error(await client.post("/v1/route", json={"text": ""}), 400, "bad_text")

        asyncio.run(main())

    @pytest.mark.slow
    @pytest.mark.parametrize("token", ["", "  ", "a\nb", "naïve"])
    def test_a_token_that_no_header_holds(self, waiting: hypernova.Router, token: str) -> None:
        with pytest.raises(ValueError, match="printable ASCII"):
            create_app(waiting, token=token)


async def samples(client: httpx.AsyncClient) -> dict[str, float]:
    """The samples without labels."""
    text = (await client.get("/metrics")).text
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }
