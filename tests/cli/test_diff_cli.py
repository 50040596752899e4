"""`hypernova diff`: its exit codes, its text and its JSON.

Not here: the figures (tests/comparison).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import hypernova
from hypernova.cli import main
from support.commands import fails_in_one_line, output_of, run

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = "Fix the race in the scheduler\nSort a list of tuples\nQuerySet.union() drops its order\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Old.hnv, new.hnv with another cost weight, none.hnv without a common model, prompts.txt."""
    folder = tmp_path_factory.mktemp("diff")
    old = hypernova.Router.open().artifact
    old.save(folder / "old.hnv")
    old.replace(cost_weight=0.5).save(folder / "new.hnv")
    profile = ("counts", "mean", "success", "standard_error", "gain_error", "cost", "latency")
    old.replace(
        models=[f"x{m}" for m in range(old.n_models)], default_model=0,
        **{name: getattr(old, name) for name in profile},
    ).save(folder / "none.hnv")  # fmt: skip
    (folder / "prompts.txt").write_text(TEXTS, encoding="utf-8")
    return folder


def code_of(*arguments: object) -> int:
    return main(["diff", *map(str, arguments)])


class TestExitCodes:
    def test_without_the_option_any_change_is_0(self, files) -> None:
        text = output_of("diff", files / "old.hnv", files / "new.hnv")
        assert text.startswith("100.0% of decisions change")

    def test_more_change_than_allowed_is_3(self, files) -> None:
        done = run("diff", files / "old.hnv", files / "new.hnv", "--fail-over", 0.2, code=3)
        assert done.stdout.startswith("100.0% of decisions change")
        assert done.stderr == (
            "hypernova: 100% of the decisions change, and --fail-over allows 20%\n"
        )

    def test_an_error_is_1_in_one_line(self, files) -> None:
        assert "no such file" in fails_in_one_line("diff", files / "old.hnv", files / "no.hnv")

    def test_the_limit_itself_passes(self, files, capsys) -> None:
        pair = (files / "old.hnv", files / "new.hnv")
        share = hypernova.diff(*pair, prompts=files / "prompts.txt").share_changed
        assert 0 < share <= 1
        assert code_of(*pair, "--prompts", files / "prompts.txt", "--fail-over", share) == 0
        assert capsys.readouterr().err == ""
        less = share - 1e-6
        assert code_of(*pair, "--prompts", files / "prompts.txt", "--fail-over", less) == 3

    def test_an_artifact_that_is_not_compatible_is_3(self, files, capsys) -> None:
        pair = (files / "old.hnv", files / "none.hnv")
        assert code_of(*pair) == 0
        assert code_of(*pair, "--fail-over", 1) == 3
        assert "not compatible: the two have no model in common" in capsys.readouterr().err

    def test_the_same_file_twice_is_0(self, files, capsys) -> None:
        assert code_of(files / "old.hnv", files / "old.hnv", "--fail-over", 0) == 0
        assert capsys.readouterr().out.startswith("the same artifact twice: no decision changes\n")

    @pytest.mark.parametrize("limit", ["-0.1", "1.1", "nan", "some"])
    def test_a_limit_that_is_no_share_is_wrong_usage(self, files, limit, capsys) -> None:
        with pytest.raises(SystemExit) as ended:
            code_of(files / "old.hnv", files / "new.hnv", "--fail-over", limit)
        assert ended.value.code == 2
        assert "--fail-over" in capsys.readouterr().err


class TestOutput:
    def test_json_is_one_object_with_every_value(self, files, capsys) -> None:
        arguments = (files / "old.hnv", files / "new.hnv")
        assert code_of(*arguments, "--prompts", files / "prompts.txt", "--json") == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1
        found = json.loads(lines[0], parse_constant=pytest.fail)
        expected = hypernova.diff(*arguments, prompts=files / "prompts.txt")
        assert found == json.loads(json.dumps(expected.to_dict()))
        assert found["basis"] == "prompts"
        assert found["compatibility"]["policy"] == {"cost_weight": [0.0, 0.5]}

    def test_options_are_those_of_route(self, files, capsys) -> None:
        arguments = [files / "old.hnv", files / "new.hnv", "--json"]
        assert code_of(*arguments, "--cost-weight", 0.5) == 0
        # Both decide with the caller's weight, and not with their defaults.
        assert json.loads(capsys.readouterr().out)["n_changed"] == 0

    def test_prices_may_be_of_models_of_one_artifact(self, files, tmp_path, capsys) -> None:
        prices = tmp_path / "prices.json"
        prices.write_text(json.dumps({"x0": 0.01, "x1": [1.0, 2.0], "unused": 3.0}))
        arguments = [files / "old.hnv", files / "none.hnv", "--json", "--prices", prices]
        assert code_of(*arguments) == 0
        assert "does not know their tokens: x1\n" in capsys.readouterr().err

    def test_both_sources_are_refused(self, files, capsys) -> None:
        arguments = [files / "old.hnv", files / "new.hnv"]
        assert code_of(*arguments, "--log", files, "--prompts", files / "prompts.txt") == 1
        assert "prompts and a log are both given" in capsys.readouterr().err

    def test_names_are_printed_on_one_line(self, files, tmp_path, capsys) -> None:
        odd = tmp_path / "two\nlines \x1b[31m.hnv"
        odd.write_bytes((files / "new.hnv").read_bytes())
        assert code_of(files / "old.hnv", odd) == 0
        out = capsys.readouterr().out
        assert r"two\nlines \x1b[31m" in out
        assert "\x1b" not in out
