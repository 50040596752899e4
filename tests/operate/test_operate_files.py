"""The files of examples/operate as such: names, metrics, and the page that explains them.

Not here: what needs Prometheus or systemd (`test_prometheus.py`, `test_units.py`).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import hypernova
from hypernova.integrations.server import create_app
from support.operate import FOLDER, METRIC, metrics_of, rules
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs" / "operating.md").read_text()
ALERTS = [rule for rule in rules() if "alert" in rule]
RECORDED = {rule["record"] for rule in rules() if "record" in rule}


def panels() -> list[dict[str, Any]]:
    return list(json.loads((FOLDER / "dashboard.json").read_text())["panels"])


def queries() -> Iterator[str]:
    """Yield every query of the dashboard, also those of variables and annotations."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (each["expr"] for each in dashboard["annotations"]["list"])
    yield from (each.get("definition", "") for each in dashboard["templating"]["list"])


@pytest.fixture(scope="module")
def exposed() -> set[str]:
    """The names of all samples of a server's /metrics."""
    import asyncio

    async def scrape() -> str:
        with hypernova.Router.open() as router:
            transport = httpx.ASGITransport(create_app(router))
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
                await client.post("/v1/route", json={"text": "Fix the race"})
                return (await client.get("/metrics")).text

    families = list(text_string_to_metric_families(asyncio.run(scrape())))
    names = {sample.name for family in families for sample in family.samples}
    # A counter that nothing was counted in shows its help, and no sample.
    return names | {f"{family.name}_total" for family in families if family.type == "counter"}


def test_every_metric_of_rules_and_dashboard_is_there(exposed: set[str]) -> None:
    named = {name for rule in rules() for name in metrics_of(rule["expr"])}
    named |= {name for query in queries() for name in metrics_of(query)}
    assert len(named) > 20
    assert named - exposed - RECORDED == set()


def test_every_metric_has_a_place_on_the_dashboard_and_on_the_page_of_the_server(
    exposed: set[str],
) -> None:
    shown = " ".join(queries()) + " ".join(rule["expr"] for rule in rules())
    page = (ROOT / "docs" / "server-operation.md").read_text()
    for name in exposed:
        stem = re.sub(r"_(bucket|count|sum|created)$", "", name)
        assert stem in shown, name
        assert stem in page, name


def test_every_recorded_figure_is_used() -> None:
    used = {name for rule in ALERTS for name in metrics_of(rule["expr"])}
    used |= {name for query in queries() for name in metrics_of(query)}
    used |= {n for r in rules() if "record" in r for n in metrics_of(r["expr"])}
    assert used >= RECORDED


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_it_means_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert len(notes["summary"]) < 90
    assert notes["description"].rstrip().endswith(".")
    assert notes["runbook_url"] == f"docs/operating.md#{alert['alert'].lower()}"
    assert f"\n### {alert['alert']}\n" in PAGE


def test_the_page_has_no_alert_that_is_gone() -> None:
    named = re.findall(r"^### (Hypernova\w+)$", PAGE, re.MULTILINE)
    assert named == [alert["alert"] for alert in ALERTS]


def test_each_alert_is_seen_to_fire_by_promtool() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "operate").glob("*_test.yml"))
    fired = set(re.findall(r'alertname="(\w+)",alertstate="firing",', tests))
    fired |= set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n +- ", tests))
    assert fired == {alert["alert"] for alert in ALERTS}


class TestDashboard:
    def test_ids_are_unique_and_panels_do_not_overlap(self) -> None:
        assert len({panel["id"] for panel in panels()}) == len(panels())
        taken: set[tuple[int, int]] = set()
        for panel in panels():
            at = panel["gridPos"]
            columns, lines = range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
            cells = {(x, y) for x in columns for y in lines}
            assert columns.stop <= 24
            assert not cells & taken, panel["title"]
            taken |= cells

    def test_the_data_source_is_a_variable(self) -> None:
        text = (FOLDER / "dashboard.json").read_text()
        assert set(re.findall(r'"uid": "([^"]*)"', text)) == {"${datasource}", "hypernova"}
        variables = {each["name"] for each in json.loads(text)["templating"]["list"]}
        assert variables == {"datasource", "job", "instance"}
        used = set(re.findall(r"\$(\w+)", " ".join(queries())))
        assert used == {"job", "instance", "__rate_interval"}

    def test_each_panel_says_what_it_shows(self) -> None:
        for panel in panels():
            assert panel["title"]
            if panel["type"] != "row":
                assert panel["description"].endswith(".")
                assert all(
                    METRIC.search(t["expr"])
                    or "ALERTS" in t["expr"]
                    or "up{" in t["expr"]
                    or t["expr"].startswith("vector")
                    for t in panel["targets"]
                )


def test_the_token_of_the_scrape_is_in_a_file() -> None:
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    assert job["job_name"] == "hypernova"
    assert set(job["authorization"]) == {"type", "credentials_file"}
