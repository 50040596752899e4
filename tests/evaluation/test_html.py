"""The HTML report: figures, escaping, drawings, and what is said when a figure is missing.

Not here: the figures themselves; reports here are made up, and their numbers are simulated.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from hypernova.evaluation.html import render
from hypernova.evaluation.html.frontier import FONT, WIDTH, Mark, labels, text_width
from hypernova.evaluation.report import Report
from hypernova.offline_page.numbers import usd
from hypernova.offline_page.scale import Scale

HOSTILE = "</script></style></title><img src=x onerror=alert(1)>\"'&\x1b[31m\u202e"


def simulated(
    *,
    tasks: int = 500,
    models: int = 24,
    clusters: int = 4,
    groups: int = 12,
    costs: bool = True,
    left_out: bool = False,
    seed: int = 0,
    name: str = "simulated",
) -> dict[str, Any]:
    """Make a report up, in the form of `Report.to_dict`."""
    rng = np.random.default_rng(seed)
    names = [
        f"Simulated {'Large' if i % 3 else 'Small'} {i}.5 (2025110{i % 10})" for i in range(models)
    ]
    skill = 0.25 + 0.55 * np.sort(rng.beta(4, 2, models))[::-1]
    price = 0.004 * np.exp(4.6 * rng.random(models)) * (0.3 + skill)
    best = float(skill[0])

    def figure(accuracy: float, cost: float | None, **more: Any) -> dict[str, Any]:
        error = 1.96 * math.sqrt(accuracy * (1 - accuracy) / tasks)
        return {
            "accuracy": round(accuracy, 6),
            "ci95": [round(accuracy - error, 6), round(min(accuracy + error, 1), 6)],
            "cost_usd": round(cost, 6) if costs and cost is not None else None,
            "macro": round(accuracy - 0.013, 6) if groups else None,
            "n": tasks,
            **more,
        }

    def single(i: int) -> dict[str, Any]:
        made = figure(float(skill[i]), float(price[i]))
        del made["macro"]
        return {"model": names[i], **made, "taken": round(float(taken[i]), 6)}

    taken = np.zeros(models)
    taken[: min(3, models)] = [0.55, 0.3, 0.15][: min(3, models)]
    top = float(price[0])
    failed = round(tasks * (1 - best))
    held_out = figure(best + 0.006, 0.86 * top)
    pareto = [
        {"cost_weight": weight, **figure(best + 0.006 - drop, top * share)}
        for weight, drop, share in [
            (0.0, 0.0, 0.86), (0.02, 0.001, 0.7), (0.05, 0.004, 0.52), (0.1, 0.013, 0.31),
            (0.5, 0.06, 0.12), (2.0, 0.13, 0.04),
        ]
    ]  # fmt: skip
    for point in pareto:
        del point["macro"], point["n"]

    def group(i: int, **more: Any) -> dict[str, Any]:
        gain = float(rng.normal(0.01, 0.03))
        return {
            "group": f"topic/{i}",
            "tasks": int(rng.integers(4, 80)),
            "accuracy": round(best + gain, 6),
            "best_single": round(best, 6),
            "gain": round(gain, 6),
            **more,
        }

    gain = {
        "mean": 0.0063, "ci95": [-0.0021, 0.0148], "macro": 0.004 if groups else None,
        "tasks": tasks,
        "cost_change": {"mean": -0.14, "ci95": [-0.18, -0.1]} if costs else None,
    }  # fmt: skip
    return {
        "version": 1,
        "hypernova": "0.0.0",
        "dataset": {
            "name": name, "tasks": tasks, "different_prompts": tasks - 3, "models": names,
            "groups": groups, "outcomes": tasks * models, "density": 1.0,
            "costs": 1.0 if costs else 0.0,
        },
        "protocol": {
            "folds": 5, "repeats": 10, "seed": 0,
            "embedder": {"name": "static", "fingerprint": "ab" * 32},
            "clusters": "auto", "bootstrap": 2000,
            "text": "Five folds, dealt ten times, equal prompts in the same fold.",
        },
        "in_sample": figure(best + 0.03, 0.86 * top, label="in-sample: fitted on these tasks"),
        "held_out": held_out,
        "best_single": figure(best - 0.01, 0.95 * top),
        "best_single_hindsight": figure(best, top, model=names[0]),
        "random": figure(float(skill.mean()), float(price.mean())),
        "group_oracle": figure(best + 0.025, top) if groups else None,
        "oracle": figure(best + 0.11, None),
        "shuffled_clusters": figure(best - 0.008, 0.93 * top),
        "cost_matched_mix": figure(best - 0.02, 0.86 * top) if costs else None,
        "gain": gain,
        "gain_over_shuffled": {
            key: round(float(rng.normal(0.01, 0.002)), 6) if key == "mean" else gain[key]
            for key in ("mean", "ci95", "tasks")
        },
        "pareto": pareto if costs else [],
        "frontier_gain": {**gain, "mean": 0.0217} if costs else None,
        "aiq": {
            "router": round(best - 0.021, 6), "single_models": round(best - 0.043, 6),
            "low_usd": 0.004, "high_usd": top,
        } if costs else None,
        "call_frontier": None if costs else {
            "model": names[0], "other": names[1], "gain": {**gain, "mean": 0.0123},
            "points": [
                {
                    "call_weight": weight, "accuracy": round(best - 0.1 * weight, 6),
                    "ci95": [round(best - 0.2, 6), round(best + 0.02, 6)],
                    "calls": round(1 - weight, 6), "over_mix": gain,
                }
                for weight in (0.0, 0.3, 0.7, 1.0)
            ],
        },
        "gap_recovered": None if models != 2 else {
            "strong": names[0], "weak": names[1], "apgr": 0.6789, "ci95": [0.651, 0.702],
            "calls_for_50": 0.312, "calls_for_80": 0.623, "tasks": tasks,
            "curve": [
                {"calls": c, "accuracy": round(best - 0.1 * (1 - c) ** 2, 6), "recovered": c}
                for c in (0.0, 0.5, 1.0)
            ],
        },
        "calibration": {
            "error": 0.0187, "brier": 0.1712, "brier_of_rates": 0.2134, "n": tasks * models,
            "bins": [
                {
                    "low": b / 10, "high": (b + 1) / 10, "n": 7 * b,
                    "estimate": b / 10 + 0.043 if b else None,
                    "score": b / 10 + 0.061 if b else None,
                }
                for b in range(10)
            ],
        },
        "learning_curve": {
            "points": [
                {
                    "share": share, "tasks": round(0.8 * share * tasks), "accuracy": round(best, 6),
                    "best_single": round(best, 6), "gain": {**gain, "mean": 0.0237 * share},
                    "over_smaller": gain if share > 0.25 else None,
                    "saving": {
                        **gain, "mean": -0.0042,
                        "cost_change": {"mean": -0.317 * share, "ci95": [-0.4, 0.02]},
                    } if costs else None,
                }
                for share in (0.25, 0.5, 1.0)
            ],
            "repeats": 1,
            "doubling": {"tasks": round(1.6 * tasks), "mean": 0.0026, "ci95": [-0.0021, 0.0148]},
            "text": "More tasks are not known to help: simulated.",
        },
        "models": [single(i) for i in rng.permutation(models).tolist()],
        "groups": [group(i) for i in range(groups)],
        "leave_one_group_out": {
            "held_out": figure(best - 0.004, top), "best_single": figure(best - 0.006, top),
            "gain": gain, "novel": 0.31,
            "groups": [group(i, novel=round(float(rng.random()), 6)) for i in range(groups)],
        } if left_out else None,
        "complementarity": {
            "model": names[0], "failed": failed, "solved_by_another": failed // 2,
            "rescuers": [
                {"model": names[i], "solves": max(failed // 3 - 2 * i, 0)}
                for i in range(1, models)
            ],
        },
        "settings": [
            {"source": "groups", "clusters": 4, "guard_z": 0.5, "times": 31},
            {"source": "prompts", "clusters": 8, "guard_z": 1.0, "times": 19},
        ],
        "clusters": [
            {
                "cluster": c, "tasks": tasks // clusters + c,
                "words": [f"word{c}{j}" for j in range(c % 9)],
                "prompts": [f"Typical prompt {j} of cluster {c}, and so on" for j in range(3)],
                "decision": names[c % min(3, models)],
                "reason": "routed" if c % min(3, models) else "default_no_evidence",
                "cells": [
                    {
                        "model": names[i], "n": tasks // clusters,
                        "mean": round(float(skill[i]) + 0.05 * math.sin(c + i), 6),
                        "success": round(float(skill[i]) + 0.03 * math.sin(c + i), 6),
                        "ci95": [round(float(skill[i]) + end, 6) for end in (-0.06, 0.06)],
                        "cost_usd": round(float(price[i]), 6) if costs else None,
                    }
                    for i in range(models)
                ],
            }
            for c in range(clusters)
        ],
        "notes": ["One model was never chosen."],
        "verdict": "Do not route: +0.6 points over Simulated Small 0.5 (-0.2 to +1.5).",
    }  # fmt: skip


def tasks_and_models(report: dict[str, Any]) -> int:
    return report["dataset"]["tasks"] * len(report["dataset"]["models"])


def page_of(report: dict[str, Any]) -> str:
    return render(Report.from_dict(report))


VARIANTS: dict[str, dict[str, Any]] = {
    "all": {"left_out": True},
    "no costs, many groups": {
        "tasks": 14042, "models": 2, "clusters": 6, "groups": 57, "costs": False,
    },
    "no groups, one cluster": {"tasks": 40, "models": 3, "clusters": 1, "groups": 0},
    "many clusters": {"tasks": 6108, "models": 9, "clusters": 32, "left_out": True},
    "many models": {"models": 70, "clusters": 3, "seed": 7},
    "two models": {"models": 2, "clusters": 2, "seed": 2},
}  # fmt: skip
VOID = {"meta", "br"}


@pytest.fixture(params=VARIANTS, ids=str)
def report(request: pytest.FixtureRequest) -> dict[str, Any]:
    return simulated(**VARIANTS[request.param])


class Page(HTMLParser):
    """A parsed page that checks that its elements are balanced."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raise AssertionError(f"<{tag} {attrs}/> is no HTML")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.items() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return []


class TestSafety:
    @pytest.mark.slow
    def test_well_formed_and_nothing_from_elsewhere(self, report) -> None:
        source = page_of(report)
        page = Page(source)
        assert {tag for tag, _ in page.elements}.isdisjoint(
            {"script", "img", "link", "iframe", "object", "embed", "base", "form", "image", "use"}
        )
        for tag, attributes in page.elements:
            for name, value in attributes.items():
                assert not name.startswith("on")
                assert name not in {"src", "srcset", "xlink:href", "action", "data"}
                if name == "href":
                    assert tag == "a"
                    assert str(value).startswith("#")
        (style,) = re.findall(r"<style>(.*?)</style>", source, re.S)
        assert not re.search(r"url\(|@import|@font-face|https?:", style)
        policy = next(a for a in page.all("meta") if "http-equiv" in a)
        assert policy["http-equiv"] == "Content-Security-Policy"
        assert str(policy["content"]).startswith("default-src 'none'; style-src 'unsafe-inline'")
        assert source.encode("utf-8").decode("utf-8") == source

    @pytest.mark.slow
    def test_links_lead_somewhere(self, report) -> None:
        page = Page(page_of(report))
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert {str(a["href"])[1:] for a in page.all("a")} <= set(ids)

    @pytest.mark.slow
    def test_hostile_strings_stay_text(self) -> None:
        """Every string of a report replaced by a hostile one: the elements do not change."""
        plain = simulated(left_out=True)

        def poisoned(value: Any) -> Any:
            if isinstance(value, str):
                return value + HOSTILE
            if isinstance(value, dict):
                return {key: poisoned(item) for key, item in value.items()}
            if isinstance(value, list):
                return [poisoned(item) for item in value]
            return value

        before, after = Page(page_of(plain)), Page(page_of(poisoned(plain)))
        assert [tag for tag, _ in after.elements] == [tag for tag, _ in before.elements]
        assert [sorted(a) for _, a in after.elements] == [sorted(a) for _, a in before.elements]
        seen = after.text
        assert seen.count("<img src=x onerror=alert(1)>") > 100
        assert "\x1b" not in seen
        assert "\u202e" not in seen

    @pytest.mark.slow
    def test_half_a_surrogate_pair_can_be_written(self) -> None:
        report = simulated()
        report["clusters"][0]["prompts"] = ["broken \ud800 prompt"]
        page_of(report).encode("utf-8")


class TestFigures:
    @pytest.mark.slow
    def test_figures_shown_are_those_of_the_report(self, report) -> None:
        text = Page(page_of(report)).text
        decimals = 2 if report["dataset"]["tasks"] >= 2000 else 1
        keys = ["in_sample", "held_out", "best_single", "best_single_hindsight", "random",
                "group_oracle", "oracle", "shuffled_clusters", "cost_matched_mix"]  # fmt: skip
        for figure in [*(report[key] for key in keys if report[key]), *report["models"]]:
            assert f"{100 * figure['accuracy']:.{decimals}f}%" in text
            low, high = (f"{100 * end:.{decimals}f}" for end in figure["ci95"])
            assert f"{low} to {high}" in text
        for group in report["groups"]:
            sign = "+" if group["gain"] > 0 else "\N{MINUS SIGN}"
            written = f"{abs(100 * group['gain']):.{decimals}f}"
            assert (sign + written if float(written) else written) in text
            assert group["group"] in text
        part = 100 * report["gain_over_shuffled"]["mean"]
        sign = "+" if part > 0 else "\N{MINUS SIGN}"
        assert f"the prompts have {sign}{abs(part):.{decimals}f} points" in text
        facts = report["complementarity"]
        assert (
            f"{facts['model']} fails {facts['failed']:,} of {report['dataset']['tasks']:,} tasks; "
            f"{facts['solved_by_another']:,} of those some other model solves"
        ) in text
        assert "calibration error 0.019" in text
        assert "Brier score 0.171 , better than 0.213 of each model's plain rate" in text
        assert f"{tasks_and_models(report):,} estimates, of one repeat" in text
        for each in report["calibration"]["bins"][1:]:
            shown = f"{each['n']} {100 * each['estimate']:.1f}% {100 * each['score']:.1f}%"
            assert shown in text
        if report["aiq"]:
            assert f"(AIQ): {100 * report['aiq']['router']:.{decimals}f}%" in text
            hull = f"in hindsight, {100 * report['aiq']['single_models']:.{decimals}f}%"
            assert hull in text
            assert f"all cost weights: +{2.17:.{decimals}f} points" in text
        if report["call_frontier"]:
            assert f"over all prices: +{1.23:.{decimals}f} points" in text
            assert "Calls are no costs" in text
        if report["gap_recovered"]:
            assert "0.679 (95%: 0.651 to 0.702)" in text
            assert f"recover half of the gap {31.2:.{decimals}f}%" in text
        curve = report["learning_curve"]
        assert curve["text"] in text
        for point, name in zip(curve["points"], ("a quarter", "half", "all"), strict=True):
            shown = f"{name}, {point['tasks']:,} tasks +{100 * point['gain']['mean']:.{decimals}f}"
            assert shown in text
            if point["saving"]:
                saved = abs(100 * point["saving"]["cost_change"]["mean"])
                assert f"\N{MINUS SIGN}{saved:.1f}% accuracy \N{MINUS SIGN}0.4" in text
        for rescuer in facts["rescuers"]:
            assert not rescuer["solves"] or f"{rescuer['model']} {rescuer['solves']:,}" in text
        for cluster in report["clusters"]:
            assert all(line in text for line in cluster["words"] + cluster["prompts"])
            assert f"Cluster {cluster['cluster']}" in text
        assert report["protocol"]["text"] in text
        assert all(note in text for note in report["notes"])
        assert report["verdict"].partition(": ")[2] in text

    def test_a_report_of_an_earlier_version(self) -> None:
        """It has neither areas nor calls nor calibration, and its page has no such sections."""
        for costs in (True, False):
            report = simulated(costs=costs, models=2)
            newer = ("frontier_gain", "aiq", "call_frontier", "gap_recovered", "calibration")
            for name in (*newer, "learning_curve"):
                del report[name]
            page = Page(page_of(report))
            ids = {attributes.get("id") for attributes in page.all("section")}
            assert "cost" in ids
            assert ids.isdisjoint({"calls", "calibration", "tasks"})
            assert "AIQ" not in page.text

    def test_every_cell_of_the_heat_map(self) -> None:
        report = simulated(models=9, clusters=6)
        titles = [str(a["title"]) for a in Page(page_of(report)).all("td") if "title" in a]
        assert len(titles) == 9 * 6
        for cluster in report["clusters"]:
            for cell in cluster["cells"]:
                (title,) = (
                    title
                    for title in titles
                    if title.startswith(f"{cell['model']}, cluster {cluster['cluster']};")
                )
                assert f"success {100 * cell['success']:.1f}%" in title
                assert f"n {cell['n']}" in title
                assert f"{100 * cell['ci95'][0]:.1f} to {100 * cell['ci95'][1]:.1f}" in title
                assert title.endswith("chosen") == (cell["model"] == cluster["decision"])

    @pytest.mark.slow
    def test_models_that_are_left_out_of_the_heat_map_are_counted(self) -> None:
        report = simulated(models=70, clusters=3)
        page = Page(page_of(report))
        assert len([a for a in page.all("td") if "title" in a]) == 40 * 3
        assert "30 more models of lower success" in page.text

    def test_what_is_unknown_is_said_and_not_drawn(self) -> None:
        report = simulated(costs=False, groups=0)
        page = Page(page_of(report))
        assert "costs unknown" in page.text
        assert "No cost is known in this table, so there is no frontier to draw." in page.text
        assert "The tasks of this table carry no groups." in page.text
        assert "Cost-matched mix needs costs" in page.text
        assert "Best model per group needs groups" in page.text
        assert "$" not in page.text
        assert "On a group never seen" not in page.text
        assert not any("aria-labelledby" in a for a in page.all("svg"))

    def test_a_model_without_a_known_cost_is_named_not_drawn_at_zero(self) -> None:
        report = simulated(models=5)
        report["models"][2]["cost_usd"] = None
        page = Page(page_of(report))
        assert "1 of 5 models without a known cost: not drawn." in page.text

    def test_no_cell_no_interval_no_gain(self) -> None:
        report = simulated(models=4, clusters=2)
        report["clusters"][0]["cells"][1] |= {"success": None, "ci95": None, "n": 0, "mean": None}
        report["groups"][0] |= {"gain": None, "accuracy": None}
        report["held_out"]["ci95"] = None
        report["gain"] |= {"ci95": None, "cost_change": None}
        report["clusters"][1]["words"] = []
        page = Page(page_of(report))
        assert not re.search(r"\bnan\b", page.text, re.I)
        assert "none" not in page.text.lower()
        assert "No word sets it apart." in page.text


class TestDrawings:
    @pytest.mark.slow
    def test_coordinates_are_finite_and_inside(self, report) -> None:
        box: tuple[float, float] | None = None
        checked = 0
        for tag, attributes in Page(page_of(report)).elements:
            if tag == "svg":
                numbers = str(attributes.get("viewbox", "")).split()
                box = (float(numbers[2]), float(numbers[3])) if numbers else None
                if box is None:
                    assert str(attributes["width"]) in {"100%", "90"}
            pairs = [("x", 0), ("x1", 0), ("x2", 0), ("cx", 0), ("y", 1), ("y1", 1), ("y2", 1),
                     ("cy", 1)]  # fmt: skip
            if tag not in {"line", "circle", "rect", "text", "polygon", "polyline"}:
                continue
            for name, axis in pairs:
                value = attributes.get(name)
                if value is None:
                    continue
                checked += 1
                if value.endswith("%"):
                    assert 0 <= float(value[:-1]) <= 100
                elif box:
                    assert 0 <= float(value) <= box[axis]
                else:
                    assert 0 <= float(value) <= 34
            for name in ("width", "height", "r"):
                if name in attributes:
                    assert float(str(attributes[name]).rstrip("%")) >= 0
            if "points" in attributes:
                assert box
                for point in str(attributes["points"]).split():
                    x, y = map(float, point.split(","))
                    assert 0 <= x <= box[0]
                    assert 0 <= y <= box[1]
                    checked += 1
        assert checked > 20

    @pytest.mark.slow
    def test_the_line_is_the_pareto_points(self) -> None:
        report = {**simulated(), "learning_curve": None}
        (line,) = [a for a in Page(page_of(report)).all("polyline") if a["class"] == "line"]
        points = [tuple(map(float, p.split(","))) for p in str(line["points"]).split()]
        costs = [math.log(point["cost_usd"]) for point in report["pareto"]]
        accuracy = [point["accuracy"] for point in report["pareto"]]
        # More than a decade of costs: equal ratios are equal distances; up is better.
        for values, axis, sign in ((costs, 0, 1), (accuracy, 1, -1)):
            drawn = np.array([point[axis] for point in points])
            slope, start = np.polyfit(values, drawn, 1)
            assert sign * slope > 0
            assert np.abs(np.array(values) * slope + start - drawn).max() < 0.1
        assert max(point[0] for point in points) < WIDTH

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(6))
    def test_every_numbered_point_is_in_the_drawing_and_in_the_table(self, seed) -> None:
        report = simulated(seed=seed)
        source = page_of(report)
        drawing = re.findall(r"<svg viewBox.*?role=\"img\".*?</svg>", source, re.S)[0]
        texts = re.findall(r'<text class="label"[^>]*>([\d, ]+)</text>', drawing)
        drawn = [int(number) for text in texts for number in text.split(", ")]
        key = re.findall(r'<span class="point">.*?<b>(\d+)</b><bdi>(.*?)</bdi>', source, re.S)
        assert sorted(drawn) == list(range(1, len(key) + 1))
        assert [int(number) for number, _ in key] == sorted(drawn)
        names = [name for _, name in key]
        assert names[:5] == [
            "Best single, chosen in each fold", "Random", "Shuffled clusters", "Cost-matched mix",
            "Best per group, in hindsight",
        ]  # fmt: skip
        models = [m for m in report["models"] if m["accuracy"] >= 0.7]
        best = [
            m for m in models
            if not any(o["cost_usd"] <= m["cost_usd"] and o["accuracy"] > m["accuracy"]
                       for o in models)
        ]  # fmt: skip
        assert {m["model"] for m in best} <= set(names)

    def test_the_drawing_has_a_text_alternative(self, report) -> None:
        if not report["pareto"]:
            return
        page = Page(page_of(report))
        (drawing,) = [a for a in page.all("svg") if "aria-labelledby" in a]
        ids = [a["id"] for tag in ("title", "desc") for a in page.all(tag) if "id" in a]
        assert str(drawing["aria-labelledby"]).split() == ids
        first, last = report["pareto"][0], report["pareto"][-1]
        for point in (first, last):
            assert f"{100 * point['accuracy']:.1f}% for {usd(point['cost_usd'])}" in page.text

    def test_numbers_never_collide_and_stay_beside_their_marks(self) -> None:
        rng = np.random.default_rng(5)
        for crowd in (5, 15, 40, 120):
            spots = rng.normal((250, 180), 40, (crowd, 2)).clip(20, 380)
            marks = [
                Mark(f"model {i}", "model", float(x), float(y), None)
                for i, (x, y) in enumerate(spots)
            ]
            scale = Scale(0.0, 500.0, 0.0, 500.0)
            placed = labels(marks, scale, scale)
            boxes = [(left, left + text_width(text), middle) for text, left, middle in placed]
            for i, (left, right, middle) in enumerate(boxes):
                for other_left, other_right, other in boxes[:i]:
                    apart = right <= other_left or other_right <= left
                    assert apart or abs(middle - other) >= FONT
            numbers = [int(n) for text, *_ in placed for n in text.split(", ")]
            assert sorted(numbers) == list(range(1, crowd + 1))
            for text, left, middle in placed:
                for number in map(int, text.split(", ")):
                    x, y = spots[number - 1]
                    assert left <= x + 6 <= left + text_width(text) + 4
                    assert abs(middle - y) < FONT + 8

    @pytest.mark.parametrize(
        ("values", "log"),
        [([0.01, 3.0], True), ([0.72, 0.75], False), ([0.5], False), ([2e-7, 0.9], True),
         ([0.0, 0.0], False), ([1.0, 1.0], True)],
    )  # fmt: skip
    def test_ticks_are_round_and_inside(self, values, log) -> None:
        scale = Scale.over(values, 0, 100, log=log)
        ticks = scale.ticks(6)
        assert ticks == sorted(ticks)
        for tick in ticks:
            assert -1e-9 <= scale(tick) <= 100 + 1e-9
            assert tick == pytest.approx(float(f"{tick:.2e}"), rel=1e-9)
        for value in values:
            assert 0 < scale(value) < 100


def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("no chromium on PATH: the page is not loaded in a browser")


@pytest.mark.slow
def test_in_a_browser_it_fits_400_pixels(tmp_path) -> None:
    """Load the page in a frame 400 pixels wide, and ask how wide it came out."""
    chromium = browser()
    # A frame has the width it is given, which a window may not; `srcdoc` keeps the policy
    # of the page, so that it is this page without scripts that is measured.
    inner = page_of(simulated(left_out=True, name="a-long-name-without-a-break-" * 4))
    frame = tmp_path / "frame.html"
    escaped = inner.replace("&", "&amp;").replace('"', "&quot;")
    frame.write_text(
        f'<iframe width="400" height="800" style="border:0" srcdoc="{escaped}"></iframe>'
        "<pre></pre><script>onload = () => { const page = "
        "document.querySelector('iframe').contentDocument; document.querySelector('pre')"
        ".textContent = [page.documentElement.scrollWidth, page.documentElement.clientWidth, "
        "page.querySelector('.keyed > svg text').getBoundingClientRect().height, "
        "getComputedStyle(page.querySelector('.tile')).borderTopStyle].join(' ') }</script>",
        encoding="utf-8",
    )
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         f"--user-data-dir={tmp_path / 'profile'}", frame.as_uri()],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    found = re.search(r"<pre>(\d+) (\d+) ([\d.]+) (\w+)</pre>", done.stdout)
    assert found, done.stderr[-2000:]
    wide, seen, letters, border = found.groups()
    assert int(wide) <= int(seen) <= 400
    assert float(letters) >= 10  # pixels from the top to the bottom of a line of text
    assert border == "solid"
