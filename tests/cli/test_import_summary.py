"""The summary of an import as people read it: 80 columns, lists cut with a count, names escaped.

Not here: real logs (test_import.py).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hypernova.cli.import_summary import COLUMNS, ImportCosts, print_import, print_next
from hypernova.table import OutcomeTable
from hypernova.table.importing.names import read_renames
from hypernova.table.importing.summary import FigureAgreement, ImportSummary

SUMMARY = ImportSummary(
    logs={"Inspect AI": 1200, "lm-evaluation-harness": 2},
    samples=3000,
    tasks=1000,
    groups={"gsm8k": 300, "mmlu": 700},
    models={"a/large": (1000, 0.75), "small": (950, 0.5)},
    filled=0.975,
    repeats=17,
    left_out={"not scored": 3, "the tool or the model failed": 47},
    broken={},
    unknown_files=(),
    agreement=(
        FigureAgreement("logs/x.eval", "a/large", "mmlu", "match", "accuracy", 0.75, 0.75, 700),
        FigureAgreement(
            "logs/y.eval", "small", "gsm8k", "match", "accuracy", 0.55, 0.5, 250,
            "50 samples of it were left out",
        ),
    ),
    metrics={"gsm8k": "match", "mmlu": "choice"},
    similar_models=(),
    notes=(),
)  # fmt: skip
COSTS = ImportCosts(
    outcomes=1950,
    outcomes_with_cost=1000,
    outcomes_with_latency=1950,
    computed=0,
    cost_shares={"a/large": 1.0, "small": 0.0},
    unpriced=(),
)


def printed(capsys, summary: ImportSummary = SUMMARY, costs: ImportCosts = COSTS) -> str:
    print_import(summary, costs)
    text = capsys.readouterr().out
    assert text.replace("\n", "").isprintable()
    return text


def test_every_fact_stands_in_it(capsys) -> None:
    text = printed(capsys)
    for part in (
        "1,202: 1,200 of Inspect AI, 2 of lm-evaluation-harness",
        "samples     3,000, which gave 1,950 outcomes",
        "repeats     17 outcomes with the mean of several samples",
        "left out    50 samples",
        "3 not scored, 47 the",
        "tasks       1,000 in 2 groups: mmlu 700, gsm8k 300",
        "filled      97.5%",
        "score       match of gsm8k",
        "score       choice of mmlu",
        "costs       known for 51.3% of the outcomes; --prices computes them",
        "latencies   known for 100% of the outcomes",
        "0.7500     1,000   100%  0.7500 agrees        a/large",
        "0.5000       950     0%  0.5500 differs       small",
        "y.eval: accuracy of match of small, gsm8k is 0.5500 there and 0.5000 here",
    ):
        assert part in text, text
    assert "50 samples of it were left out" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= COLUMNS


def test_long_lists_are_cut_with_a_count(capsys) -> None:
    differing = SUMMARY.agreement[1]
    text = printed(
        capsys,
        replace(
            SUMMARY,
            groups={f"group_{i:02}": 1 for i in range(20)},
            metrics={f"group_{i:02}": "match" for i in range(19)},
            models={f"model-{i:02}": (10, 0.5) for i in range(40)},
            broken={f"logs/{i}.eval": f"logs/{i}.eval: is cut short; remove it" for i in range(12)},
            unknown_files=tuple(f"logs/{i}.txt" for i in range(11)),
            agreement=(differing,) * 9,
            similar_models=tuple((f"m{i}", f"x/m{i}") for i in range(10)),
        ),
        replace(COSTS, computed=3, unpriced=tuple(f"m{i}" for i in range(10))),
    )
    flat = " ".join(text.split())
    for part in (
        "group_07 1 and 12 more", "group_07 and 11 more", "and 10 more (--json)",
        "12 logs are left out: they cannot be read", "and 4 more (--json)",
        "11 files of no known tool: 0.txt", "7.txt and 3 more", "and 1 more (--json)",
        "and 2 more (--json)", "3 of them from tokens and prices", "no price of m0,",
    ):  # fmt: skip
        assert part in flat, text
    assert max(map(len, text.splitlines())) <= COLUMNS


def test_names_are_escaped_and_never_cut(capsys) -> None:
    long, odd = "provider/" + "x" * 60, "evil\x1b[31m\nname"
    text = printed(
        capsys,
        replace(
            SUMMARY,
            models={long: (1, 0.25), odd: (1, 0.5)},
            groups={odd: 1},
            metrics={odd: odd},
            broken={odd: f"{odd}: is cut short"},
            similar_models=((odd, f"x/{odd}"),),
            unknown_files=(odd,),
            notes=(odd,),
        ),
    )
    assert f"\n  {long}\n" in text
    assert "evil\\x1b[31m\\nname" in text


def test_tasks_without_a_group(capsys) -> None:
    text = printed(capsys, replace(SUMMARY, groups={"": 5}, metrics={"": "match"}, tasks=5))
    assert "tasks       5, without groups\n" in text
    assert "score       match\n" in text
    text = printed(capsys, replace(SUMMARY, groups={"": 5, "g": 2}, tasks=7))
    assert "7 in 1 group: g 2; 5 without a group" in text


@pytest.mark.parametrize("share", [1 - 1e-6, 1e-6])
def test_a_share_is_whole_only_where_it_is(capsys, share) -> None:
    text = printed(capsys, replace(SUMMARY, filled=share))
    assert ("filled      >99.9%" if share > 0.5 else "filled      <0.1%") in text


class TestNext:
    def table(self, *models: str) -> OutcomeTable:
        return OutcomeTable.from_arrays(
            task_ids=["a"], prompts=["one"], models=models, score=np.ones((1, len(models))),
            min_models=1,
        )  # fmt: skip

    def test_the_command_that_comes_next_can_be_pasted(self, capsys) -> None:
        print_next(self.table("m", "n"), "my table.jsonl", None, dry_run=False)
        assert capsys.readouterr().out == (
            "\nwrote 'my table.jsonl': 1 task x 2 models, 2 outcomes\n"
            "next, measure whether routing is worth it:\n  hypernova evaluate 'my table.jsonl'\n"
        )

    def test_one_model_cannot_be_routed(self, capsys) -> None:
        print_next(self.table("m"), "t.jsonl", None, dry_run=False)
        said = capsys.readouterr().out
        assert "to route, a second is needed" in said
        assert said.endswith("  hypernova add-model ROUTER.hnv t.jsonl -o NEW.hnv\n")
        assert "evaluate" not in said

    def test_a_dry_run_and_a_template(self, capsys) -> None:
        print_next(self.table("m", "n"), None, None, dry_run=True)
        assert "nothing was written" in (said := capsys.readouterr().out)
        assert "with -o TABLE in its place, and then hypernova evaluate TABLE" in " ".join(
            said.split()
        )
        print_next(self.table("m", "n"), None, "p.toml", dry_run=False)
        said = capsys.readouterr().out
        assert said.startswith("\nwrote p.toml\nnext, fill in the prices")
        assert "--prices p.toml -o TABLE" in " ".join(said.split())


def test_the_suggested_names_are_one_file_that_can_be_read(capsys, tmp_path) -> None:
    similar = (("gpt-4o", "openai/gpt-4o"), ("a/mini", "b/mini"), ("x", "y/x", "z/x"))
    text = printed(capsys, replace(SUMMARY, similar_models=similar))
    path = tmp_path / "names.json"
    path.write_text(text[text.index("{") : text.index("}") + 1])
    assert read_renames(path) == {
        "openai/gpt-4o": "gpt-4o", "b/mini": "a/mini", "y/x": "x", "z/x": "x",
    }  # fmt: skip
