"""The benchmark of embedders against `hypernova.evaluate`, on the same folds.

Not here: learning, or the embedders themselves.
"""

import numpy as np
import pytest
from benches.embedders import gains_of, row_of, standard_error

import hypernova


@pytest.mark.slow
def test_gains_are_those_of_evaluate():
    """Two kinds of task, and two models: one solves one kind, the other all of the other kind."""
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=100)
    vectors = rng.normal(size=(len(kind), 8))
    vectors[:, 0] += 6 * kind - 3
    score = np.stack([kind == 0, (kind == 1) | (rng.random(len(kind)) < 0.5)], axis=1) * 1.0
    score[rng.random(len(kind)) < 0.1, 0] = np.nan
    table = hypernova.OutcomeTable.from_arrays(
        task_ids=[f"t{i}" for i in range(len(kind))],
        prompts=[f"prompt {i // 2 * 2}" for i in range(len(kind))],
        models=["cheap", "dear"],
        score=score,
        cost_usd=[[0.001, 0.01]] * len(kind),
        groups=["ab"[k] for k in kind],
        embedding=vectors,
    )
    report = hypernova.evaluate(table, repeats=1, learning_curve=False, jobs=1)
    found = gains_of(table, table.embedding, 1)
    assert report.gain.mean > 0.1
    # A report is rounded to six digits.
    assert round(found.best_single.mean() / 100, 6) == report.gain.mean
    assert round(found.frontier.mean() / 100, 6) == report.frontier_gain.mean


def test_a_ratio_stands_only_beside_a_gain():
    prompts = np.array([0, 0, 1, 2])
    gain = np.array([2.0, 2.0, 0.0, 4.0])
    # Tasks of one prompt count as one draw: the sums of deviations are 0, -2 and 2.
    assert standard_error(gain, prompts) == pytest.approx(8**0.5 / 4)
    assert row_of("t", "4", [gain, 2 * gain], prompts).endswith(" 50% |")
    assert row_of("t", "4", [gain / 100, gain / 50], prompts).endswith(" no gain |")
