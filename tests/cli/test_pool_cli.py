"""add-model, next-prompts, remove-model and rename-model in real processes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import hypernova
from support.commands import fails_in_one_line, run
from support.paths import TABLE

# All run the command on an artifact that was fitted.
pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> Path:
    """Forty prompts on which a new model never fails, with the default model's outcomes."""
    path = tmp_path_factory.mktemp("scored") / "outcomes.jsonl"
    rows = [json.loads(line) for line in TABLE.read_text().splitlines()[::8]]
    for row in rows:
        known = row["outcomes"].get("simulated-large")
        row["outcomes"] = {"brand-new": {"score": 1, "cost_usd": 0.01}}
        if known is not None:
            row["outcomes"]["simulated-large"] = known
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def joined(fitted, outcomes, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("joined") / "new.hnv"
    done = run("add-model", fitted, outcomes, "-o", path)
    assert done.returncode == 0, done.stderr
    assert "brand-new: 40 scored prompts" in done.stdout
    assert "default simulated-large" in done.stdout
    return path


class TestAddModel:
    def test_the_file_is_that_of_python(self, fitted, outcomes, joined) -> None:
        table = hypernova.OutcomeTable.read(outcomes, min_models=1)
        artifact = hypernova.Artifact.open(fitted)
        assert hypernova.add_model(artifact, table).artifact.to_bytes() == joined.read_bytes()

    def test_it_routes_and_says_so(self, fitted, outcomes, joined, tmp_path) -> None:
        """Forty of forty: it is taken, and what is printed is what is routed."""
        done = run("add-model", fitted, outcomes, "-o", tmp_path / "again.hnv")
        router = hypernova.Router.open(joined)
        prompts = hypernova.OutcomeTable.read(outcomes, min_models=1).prompts
        taken = sum(d.model == "brand-new" for d in router.route_many(prompts))
        assert taken > 0
        assert f"for {taken} of 40 scored prompts" in done.stdout
        route = run("route", "-a", joined, "--json", prompts[0])
        names = [entry["model"] for entry in json.loads(route.stdout)["ranking"]]
        assert "brand-new" in names

    def test_inspect_tells_of_it_and_of_no_stale_figure(self, fitted, joined) -> None:
        before, after = run("inspect", fitted).stdout, run("inspect", joined).stdout
        assert "in-sample accuracy" in before
        assert "in-sample accuracy" not in after
        assert "added brand-new (40 scored prompts)" in after

    def test_a_model_that_is_there_leaves_the_old_file(self, joined, outcomes, tmp_path) -> None:
        old = tmp_path / "new.hnv"
        old.write_bytes(b"what stood there")
        message = fails_in_one_line("add-model", joined, outcomes, "-o", old)
        assert "'brand-new' already" in message
        assert "remove-model" in message
        assert "recalibrate" in message
        assert old.read_bytes() == b"what stood there"
        assert [p.name for p in tmp_path.iterdir()] == ["new.hnv"]

    def test_into_the_file_that_it_is_made_of(self, fitted, outcomes, joined, tmp_path) -> None:
        place = tmp_path / "router.hnv"
        place.write_bytes(fitted.read_bytes())
        assert run("add-model", place, outcomes, "-o", place).returncode == 0
        assert place.read_bytes() == joined.read_bytes()

    def test_files_that_cannot_be_added_fail_in_one_line(self, fitted, tmp_path) -> None:
        out = tmp_path / "o.hnv"
        empty = tmp_path / "empty.jsonl"
        empty.write_text("")
        assert "holds no tasks" in fails_in_one_line("add-model", fitted, empty, "-o", out)
        bare = tmp_path / "bare.jsonl"
        bare.write_text('{"task_id": "a", "prompt": "p", "outcomes": {}}\n')
        assert "holds no outcomes" in fails_in_one_line("add-model", fitted, bare, "-o", out)
        none = tmp_path / "none.jsonl"
        none.write_text('{"task_id": "a", "prompt": "p", "outcomes": {"x": []}}\n')
        assert "line 1" in fails_in_one_line("add-model", fitted, none, "-o", out)
        odd = tmp_path / "odd.jsonl"
        odd.write_text('{"task_id": "a", "prompt": "p", "outcomes": {"x": 1.5}}\n')
        assert "1.5" in fails_in_one_line("add-model", fitted, odd, "-o", out)
        assert "no such file" in fails_in_one_line(
            "add-model", fitted, tmp_path / "no.jsonl", "-o", out
        )
        cut = tmp_path / "cut.hnv"
        cut.write_bytes(fitted.read_bytes()[:1000])
        assert "cut.hnv" in fails_in_one_line("add-model", cut, odd, "-o", out)
        assert not out.exists()

    def test_a_model_is_named_where_the_table_has_several(self, fitted, outcomes, tmp_path) -> None:
        out = tmp_path / "o.hnv"
        assert "'nwe'" in fails_in_one_line(
            "add-model", fitted, outcomes, "-o", out, "--model", "nwe"
        )
        # With all of the table's models at hand the new one is named.
        assert "'simulated-coder' already" in fails_in_one_line(
            "add-model", fitted, TABLE, "-o", out
        )
        smaller = tmp_path / "smaller.hnv"
        run("remove-model", fitted, "simulated-coder", "-o", smaller)
        done = run("add-model", smaller, TABLE, "--model", "simulated-coder", "-o", out)
        assert done.returncode == 0, done.stderr
        assert "also by simulated-large" in done.stdout
        assert hypernova.Artifact.open(out).models[-1] == "simulated-coder"


class TestNextPrompts:
    def test_lines_are_prompts_of_the_file(self, fitted, outcomes) -> None:
        done = run("next-prompts", fitted, TABLE, "--scored", outcomes, "-n", 5, "--json")
        assert done.returncode == 0, done.stderr
        prompts = hypernova.OutcomeTable.read(TABLE).prompts
        past = hypernova.OutcomeTable.read(outcomes, min_models=1).prompts
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(rows) == 5
        for row in rows:
            assert prompts[row["index"]] == row["prompt"]
            assert row["prompt"] not in past
        # They can be read again as prompts.
        again = run("next-prompts", fitted, TABLE, "--scored", outcomes, "-n", 5, "--json")
        assert again.stdout == done.stdout

    def test_proposals_are_printed_as_a_table(self, joined) -> None:
        done = run("next-prompts", joined, TABLE, "--model", "brand-new", "-n", 3)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 5
        assert "more success" in done.stdout.splitlines()[-1]

    def test_prompts_that_are_scored_already_are_refused(self, fitted, joined, outcomes) -> None:
        assert "scored already" in fails_in_one_line(
            "next-prompts", fitted, outcomes, "--scored", outcomes
        )
        assert "already" in fails_in_one_line("next-prompts", joined, TABLE, "--scored", outcomes)
        assert run("next-prompts", fitted, TABLE, "-n", "0").returncode == 2


class TestRemoveAndRename:
    def test_a_model_leaves_and_another_is_renamed(self, fitted, joined, tmp_path) -> None:
        out = tmp_path / "r.hnv"
        done = run("remove-model", joined, "brand-new", "-o", out)
        assert "5 models are left, default simulated-large" in done.stdout
        assert hypernova.Artifact.open(out).models == hypernova.Artifact.open(fitted).models
        done = run("rename-model", joined, "brand-new", "better", "-o", out)
        assert "brand-new is now better" in done.stdout
        assert "renamed brand-new to better" in run("inspect", out).stdout

    def test_the_default_model_and_unknown_names_are_refused(self, fitted, tmp_path) -> None:
        out = tmp_path / "r.hnv"
        message = fails_in_one_line("remove-model", fitted, "simulated-large", "-o", out)
        assert "--default" in message
        assert "simulated-coder" in message
        assert "no model 'gone'" in fails_in_one_line("remove-model", fitted, "gone", "-o", out)
        every = hypernova.Artifact.open(fitted).models
        assert "no model would be left" in fails_in_one_line(
            "remove-model", fitted, *every, "-o", out
        )
        taken = fails_in_one_line(
            "rename-model", fitted, "simulated-coder", "simulated-large", "-o", out
        )
        assert "already" in taken
        assert "is no name" in fails_in_one_line(
            "rename-model", fitted, "simulated-coder", " ", "-o", out
        )
        assert not out.exists()

    def test_a_successor(self, fitted, tmp_path) -> None:
        out = tmp_path / "r.hnv"
        done = run(
            "remove-model", fitted, "simulated-large", "--default", "simulated-coder", "-o", out
        )
        assert "default simulated-coder" in done.stdout
        assert run("route", "-a", out, "Join two tables").returncode == 0
