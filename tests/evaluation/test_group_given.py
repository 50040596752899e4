"""The router whose caller names each prompt's group, judged beside the one that reads the text.

Not here: what is learned of groups (tests/training/test_group_profiles.py).
"""

from __future__ import annotations

import numpy as np
import pytest

import hypernova
from support.factories import make_table, unit

GROUPS = ("billing", "code", "rare")
QUICK = {"repeats": 1, "jobs": 1, "learning_curve": False}


def alike(n: int = 300) -> hypernova.OutcomeTable:
    """Prompts that say nothing of their groups: in two of them one model solves all.

    The rare group is too small for a profile. Model ``m2`` solves six tasks in ten, at no cost.
    """
    rng = np.random.default_rng(0)
    groups = [GROUPS[2] if i % 25 == 24 else GROUPS[i % 2] for i in range(n)]
    own = [[group == name for name in GROUPS[:2]] for group in groups]
    score = np.column_stack([np.array(own, dtype=float), rng.random(n) < 0.6])
    cost = np.tile([1.0, 1.0, 0.01], (n, 1))
    return make_table(unit(rng.normal(size=(n, 8))), score, groups=groups, cost_usd=cost)


def test_the_gain_of_a_known_group_is_reported_beside_that_of_the_text(tmp_path) -> None:
    table = alike()
    report = hypernova.evaluate(table, **QUICK)
    given = report.group_given
    assert given is not None
    rare = sum(group == "rare" for group in table.groups) / table.n_tasks
    # Right wherever the group has a profile, and the best single model else.
    assert given.held_out.accuracy == pytest.approx(1 - rare * 0.4, abs=0.03)
    assert given.best_of_group.accuracy == pytest.approx(given.held_out.accuracy, abs=0.02)
    assert report.held_out.accuracy < 0.7  # the text says nothing
    assert given.over_text.mean == pytest.approx(
        given.held_out.accuracy - report.held_out.accuracy, abs=1e-5
    )
    assert given.gain.is_proven
    assert given.frontier_gain is not None
    assert given.frontier_gain.ci95.low > report.frontier_gain.ci95.high
    assert "gain with group= given" in str(report)
    report.to_html(tmp_path / "report.html")
    assert "Held-out, group given" in (tmp_path / "report.html").read_text()
    assert hypernova.Report.from_dict(report.to_dict()).group_given == given


def test_a_table_without_groups_has_no_such_figure() -> None:
    table = alike(80)
    columns = {"cost_usd": table.cost_usd}
    report = hypernova.evaluate(make_table(table.embedding, table.score, **columns), **QUICK)
    assert report.group_given is None
    old = {name: value for name, value in report.to_dict().items() if name != "group_given"}
    assert hypernova.Report.from_dict(old) == report
