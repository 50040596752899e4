"""Prometheus reads the rules, and a real one that scrapes a real server raises the alerts.

Not here: names and metrics of the files (`test_operate_files.py`).
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from support.factories import fitted_to_example
from support.operate import FOLDER, RULES, needed, shortened, write
from support.paths import ROOT
from support.server import Server, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.operate

TOKEN = "s3cret-t0ken"
# In place of hours and days. Prometheus scrapes each quarter of a second.
RANGE_S = 4.0
PATIENCE_S = 40


def promtool(*arguments: object) -> str:
    command = [needed("promtool", "prometheus"), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_valid() -> None:
    found = sum(len(group["rules"]) for group in yaml.safe_load(RULES.read_text())["groups"])
    assert f"SUCCESS: {found} rules found" in promtool("check", "rules", RULES)


def test_each_rule_does_as_it_should() -> None:
    files = sorted((ROOT / "tests" / "operate").glob("*_test.yml"))
    assert promtool("test", "rules", *files).count("SUCCESS") == len(files) == 2


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    write(tmp_path, "alerts.yml", RULES.read_text())
    token = write(tmp_path, "token", TOKEN)
    text = (FOLDER / "prometheus.yml").read_text()
    text = text.replace("/etc/prometheus/hypernova.token", str(token))
    promtool("check", "config", write(tmp_path, "prometheus.yml", text))


class Prometheus:
    """A Prometheus of its own: its port and its answers."""

    def __init__(self, folder: Path, target: str) -> None:
        write(folder, "alerts.yml", shortened(RULES.read_text(), RANGE_S))
        token = write(folder, "token", TOKEN)
        text = (FOLDER / "prometheus.yml").read_text()
        text = text.replace("/etc/prometheus/hypernova.token", str(token))
        text = text.replace("127.0.0.1:8484", target).replace("interval: 15s", "interval: 250ms")
        config = write(folder, "prometheus.yml", text)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        with (folder / "out").open("wb") as out:
            self.process = subprocess.Popen(
                [
                    needed("prometheus", "prometheus"),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=out,
                stderr=out,
            )
        self.client = httpx.Client(base_url=f"{self.url}/api/v1", timeout=30)

    def ask(self, path: str, **parameters: str) -> Any:
        response = self.client.get(path, params=parameters)
        if response.status_code == 503:  # it listens before it is ready
            raise httpx.TransportError(response.text)
        answer = response.json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[Any]:
        return list(self.ask("query", query=expression)["result"])

    def firing(self) -> dict[str, dict[str, Any]]:
        alerts = self.ask("alerts")["alerts"]
        return {a["labels"]["alertname"]: a for a in alerts if a["state"] == "firing"}

    def wait_for(self, holds: Callable[[], object], of: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                if holds():
                    return
            except httpx.TransportError:  # it starts
                assert self.process.poll() is None, "prometheus ended"
            time.sleep(0.1)
        raise AssertionError(f"{of}: not within {PATIENCE_S} s; {sorted(self.firing())} fire")

    def wait_until_firing(self, *names: str) -> None:
        self.wait_for(lambda: self.firing().keys() >= set(names), " and ".join(names))


@contextmanager
def watching(folder: Path, server: Server) -> Iterator[Prometheus]:
    found = Prometheus(folder, f"127.0.0.1:{server.port}")
    try:
        yield found
    finally:
        found.client.close()
        found.process.terminate()
        found.process.wait(30)


def ask(client: httpx.Client, text: str, times: int, **options: object) -> None:
    for _ in range(times):
        client.post("/v1/route", json={"text": text, **options})


def test_alerts_fire_on_a_real_server(tmp_path: Path) -> None:
    """With rules whose times are shortened, see `shortened`: ranges of 4 s in place of a day.

    First a healthy server raises nothing; then one fault after the other is made, and last the
    server is killed.
    """
    (tmp_path / "prometheus").mkdir()
    fitted_to_example(3).save(tmp_path / "r.hnv")
    fitted_to_example(4).save(tmp_path / "shadow.hnv")
    token = write(tmp_path, "token.txt", TOKEN)
    options = (
        *("-a", tmp_path / "r.hnv", "--shadow", tmp_path / "shadow.hnv", "--workers", 2),
        *("--token-file", token, "--log", tmp_path / "log"),
    )
    with (
        serving(*options) as server,
        watching(tmp_path / "prometheus", server) as prometheus,
        server.client(headers={"authorization": f"Bearer {TOKEN}"}) as client,
    ):
        prometheus.wait_for(lambda: prometheus.query('up{job="hypernova"} == 1'), "a scrape")

        # Healthy for longer than the longest range: decisions of known prompts, and outcomes.
        known = "Prove that the sum of two odd numbers is even"
        end = time.monotonic() + 2.5 * RANGE_S
        while time.monotonic() < end:
            decided = client.post("/v1/route", json={"text": known}).json()
            client.post("/v1/outcomes", json={"id": decided["id"], "score": 1})
            time.sleep(0.05)
        assert decided["novelty"] < 0.9
        prometheus.wait_for(
            lambda: prometheus.query("job:hypernova_decisions:increase1h >= 10"), "figures"
        )
        # On a busy machine decisions may truly be slow.
        assert prometheus.firing().keys() <= {"HypernovaSlow"}
        queries = dashboard_queries()
        empty = [query for query in queries if not prometheus.query(query)]
        assert len(queries) > 20
        assert prometheus.query("sum(hypernova_workers)")[0]["value"][1] == "2"
        # Nothing fires.
        quiet = ("ALERTS", "changes(")
        assert [query for query in empty if not any(word in query for word in quiet)] == []

        # Another kind of prompt, and another model, all at once; and no more outcomes.
        chosen = decided["model"]
        novel = "zxqv " * 40
        deadline = time.monotonic() + PATIENCE_S
        wanted = {
            "HypernovaNoveltyRisen", "HypernovaNovelPrompts", "HypernovaModelCollapsed",
            "HypernovaModelRisen", "HypernovaNoOutcomes", "HypernovaRefused",
            "HypernovaOutcomesRefused", "HypernovaReloadRefused",
        }  # fmt: skip
        (tmp_path / "new").write_bytes(b"no artifact")
        (tmp_path / "new").rename(tmp_path / "r.hnv")
        seen: dict[str, dict[str, Any]] = {}
        while not wanted <= seen.keys() and time.monotonic() < deadline:
            ask(client, novel, 4, deny=[chosen], on_novel="best_overall")
            client.post("/v1/outcomes", json={"id": "no id", "score": 1})
            client.get("/v1/artifact", headers={"authorization": "Bearer no"})
            server.process.send_signal(signal.SIGHUP)
            seen |= prometheus.firing()
            time.sleep(0.1)
        assert wanted <= seen.keys(), wanted - seen.keys()
        assert "error" not in " ".join(str(alert["annotations"]) for alert in seen.values())
        collapsed = seen["HypernovaModelCollapsed"]
        assert collapsed["labels"]["model"] == chosen
        assert chosen in collapsed["annotations"]["summary"]

        # No file may grow any more: to the server the disk is full.
        for worker in workers(server):
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        seen = {}
        deadline = time.monotonic() + PATIENCE_S
        wanted = {"HypernovaLogFailures", "HypernovaOverloaded"}
        while not wanted <= seen.keys() and time.monotonic() < deadline:
            ask(client, known, 2)
            client.post("/v1/outcomes", json={"id": "0" * 32, "score": 1})  # 503, not written
            seen |= prometheus.firing()
            time.sleep(0.1)
        assert wanted <= seen.keys(), wanted - seen.keys()

        for _ in range(4):
            (first, *_) = before = workers(server)
            os.kill(first, signal.SIGKILL)
            prometheus.wait_for(
                lambda before=before: len(workers(server)) == 2 and workers(server) != before,
                "another worker",
            )
        prometheus.wait_until_firing("HypernovaWorkerRestarts")

        server.process.kill()
        prometheus.wait_until_firing("HypernovaDown")


def workers(server: Server) -> list[int]:
    """Return the processes that the server has forked."""
    pid = server.process.pid
    return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def dashboard_queries() -> list[str]:
    """Return the queries of the dashboard's panels, for one job, with short ranges."""
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    filled = [
        query.replace("$job", "hypernova")
        .replace("$instance", ".*")
        .replace("$__rate_interval", "5m")
        for query in found
    ]
    return [shortened(re.sub(r" offset 1d$", " offset 1s", query), RANGE_S) for query in filled]
