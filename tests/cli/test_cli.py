"""The command line in real processes: output, exit codes, one line on standard error."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import hypernova
from support.commands import fails_in_one_line, run
from support.factories import fitted_to_example
from support.paths import EXAMPLES, TABLE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("fit") / "router.hnv"
    done = run("fit", TABLE, "-o", path, "--clusters", "4")
    assert done.returncode == 0, done.stderr
    assert "in-sample" in done.stdout
    assert "simulated-large" in done.stdout
    return path


class TestFit:
    @pytest.mark.slow
    def test_the_file_is_that_of_python(self, fitted) -> None:
        assert fitted_to_example(4).to_bytes() == fitted.read_bytes()

    @pytest.mark.slow
    def test_fit_takes_prompts_for_the_structure_and_a_seed(self, tmp_path) -> None:
        done = run(
            "fit", TABLE, "-o", tmp_path / "r.hnv", "--clusters", 3,
            "--cluster-prompts", EXAMPLES / "prompts.jsonl", "--seed", 5,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        notes = hypernova.Artifact.open(tmp_path / "r.hnv").metadata
        assert (notes["structure_prompts"], notes["seed"]) == (320, 5)

    @pytest.mark.slow
    def test_a_bad_table_leaves_the_old_artifact(self, fitted, tmp_path) -> None:
        old = tmp_path / "router.hnv"
        old.write_bytes(fitted.read_bytes())
        bad = tmp_path / "bad.jsonl"
        bad.write_text('{"task_id": "a", "prompt": "p", "outcomes": {"x": 1.2, "y": 0}}\n')
        message = fails_in_one_line("fit", bad, "-o", old)
        assert "bad.jsonl" in message
        assert "1.2" in message
        assert old.read_bytes() == fitted.read_bytes()
        assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.jsonl", "router.hnv"]

    @pytest.mark.slow
    def test_no_such_table_embedder_or_folder(self, tmp_path) -> None:
        assert "nothing" in fails_in_one_line("fit", tmp_path / "nothing", "-o", tmp_path / "r.hnv")
        assert "maxilm" in fails_in_one_line(
            "fit", TABLE, "-o", tmp_path / "r.hnv", "--embedder", "maxilm"
        )
        missing = tmp_path / "no" / "r.hnv"
        assert "does not exist" in fails_in_one_line("fit", TABLE, "-o", missing, "--clusters", 2)


class TestRoute:
    def test_the_bundled_artifact_answers(self) -> None:
        done = run("route", "Fix the race in the scheduler")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[0] in hypernova.Router.open().artifact.models

    @pytest.mark.slow
    def test_json_has_the_fields_of_the_design(self, fitted) -> None:
        done = run("route", "-a", fitted, "--json", "Write a regex for dates")
        (line,) = done.stdout.splitlines()
        decision = json.loads(line)
        assert set(decision) >= {
            "model", "reason", "cluster", "distance", "novelty", "ranking", "artifact",
        }  # fmt: skip
        assert set(decision["ranking"][0]) >= {"model", "success", "cost_usd", "utility"}
        assert decision["ranking"][0]["model"] == decision["model"]
        assert decision["artifact"] == hypernova.Artifact.open(fitted).sha256

    @pytest.mark.slow
    def test_standard_input_gives_one_decision_a_line(self, fitted) -> None:
        texts = ["Join two tables", "Prove it", "naïve \N{ROCKET}"]
        done = run("route", "-a", fitted, "--json", "-", stdin="\n".join(texts) + "\n")
        router = hypernova.Router.open(fitted)
        expected = [router.route(t).model for t in texts]
        assert [json.loads(line)["model"] for line in done.stdout.splitlines()] == expected
        plain = run("route", "-a", fitted, "-", stdin="Join two tables\n")
        assert plain.stdout.split("\t")[0] == expected[0]
        assert run("route", "-a", fitted, "-", stdin=b"caf\xe9 \xff\n").returncode == 0

    @pytest.mark.slow
    def test_a_line_without_an_answer_has_its_own_and_the_others_are_answered(self, fitted) -> None:
        done = run("route", "-a", fitted, "-", stdin="fine\n\nfine\n \t\nfine")
        assert done.returncode == 1
        named = [line.partition("\t")[0] for line in done.stdout.split("\n")]
        model = hypernova.Router.open(fitted).route("fine").model
        assert named == [model, "", model, "", model, ""]
        assert [line[:35] for line in done.stderr.splitlines()] == [
            "hypernova: standard input, line 2: ",
            "hypernova: standard input, line 4: ",
        ]
        done = run("route", "-a", fitted, "-", "--json", stdin="fine\n\nfine\n")
        assert done.returncode == 1
        first, second, third = map(json.loads, done.stdout.splitlines())
        assert first["model"] == third["model"] == model
        assert set(second) == {"error"}
        assert "empty" in second["error"]

    @pytest.mark.slow
    def test_a_line_that_no_model_may_answer_ends_nothing(self, fitted) -> None:
        done = run("route", "-a", fitted, "-", "--max-cost-usd", 0, stdin="one\ntwo\n")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "\n\n", 2), done
        texts = ["qqq", "Join two tables", "\N{ROCKET}"]
        done = run("route", "-a", fitted, "-", "--on-novel", "error", stdin="\n".join(texts))
        router = hypernova.Router.open(fitted)
        novel = [router.route(text).reason == "default_novel" for text in texts]
        assert any(novel)
        assert [line == "" for line in done.stdout.splitlines()] == novel
        assert (done.returncode, done.stderr.count("\n")) == (1, sum(novel))
        # What is wrong with the options is wrong for every line, and said once.
        assert "GPT-9" in fails_in_one_line(
            "route", "-a", fitted, "-", "--allow", "GPT-9", stdin="a\nb\n"
        )

    @pytest.mark.slow
    def test_options_of_the_command_limit_and_price_models(self, fitted) -> None:
        text = "Prove it"
        allowed = run("route", text, "-a", fitted, "--allow", "simulated-small", "simulated-coder")
        assert allowed.stdout.splitlines()[0] in {"simulated-small", "simulated-coder"}
        one = run("route", "-a", fitted, "--allow", "simulated-maths", "--", text)
        assert one.stdout.splitlines()[0] == "simulated-maths"
        denied = run("route", text, "-a", fitted, "--deny", "simulated-large", "--json")
        assert "simulated-large" not in denied.stdout
        free = ["--max-cost-usd", "0", "--price", "simulated-writer=0"]
        priced = run("route", text, "-a", fitted, *free)
        assert priced.stdout.splitlines()[0] == "simulated-writer"
        assert "GPT-9" in fails_in_one_line("route", text, "-a", fitted, "--allow", "GPT-9")
        assert "max_cost_usd=0" in fails_in_one_line(
            "route", text, "-a", fitted, "--max-cost-usd", "0"
        )
        assert "cost_weight" in fails_in_one_line("route", text, "-a", fitted, "--cost-weight=-1")

    @pytest.mark.slow
    def test_broken_artifacts(self, fitted, tmp_path) -> None:
        assert "no such file" in fails_in_one_line("route", "-a", tmp_path / "x.hnv", "text")
        cut = tmp_path / "cut.hnv"
        cut.write_bytes(fitted.read_bytes()[:-100])
        assert "cut short" in fails_in_one_line("route", "-a", cut, "text")
        picture = tmp_path / "picture.hnv"
        picture.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(100))
        assert "not a hypernova artifact" in fails_in_one_line("route", "-a", picture, "text")
        assert "folder" in fails_in_one_line("route", "-a", tmp_path, "text").lower().replace(
            "directory", "folder"
        )

    @pytest.mark.slow
    def test_an_empty_text_fails_in_one_line(self, fitted) -> None:
        assert "empty" in fails_in_one_line("route", "-a", fitted, "")


class TestInspect:
    @pytest.mark.slow
    def test_text_and_json_agree(self, fitted) -> None:
        text, data = run("inspect", fitted), run("inspect", fitted, "--json")
        seen = json.loads(data.stdout)
        assert seen["models"] == list(hypernova.Artifact.open(fitted).models)
        assert "4 clusters, 5 models" in text.stdout
        assert len(seen["profiles"]["success"]) == 5
        assert seen["metadata"]["in_sample"]["label"].startswith("in-sample")
        assert "in-sample" in text.stdout


class TestUsage:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["fly"],
            ["fit"],
            ["fit", "table"],
            ["fit", "table", "-o", "x", "--clusters", "0"],
            ["fit", "table", "-o", "x", "--clusters", "three"],
            ["route"],
            ["route", "text", "--cost-weight", "dear"],
            ["route", "text", "--price", "model"],
            ["route", "--allow", "a", "b"],
        ],
    )
    def test_bad_usage_is_exit_code_2(self, arguments) -> None:
        done = run(*arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "Traceback" not in done.stderr

    def test_help_and_version(self) -> None:
        assert "route" in run("--help").stdout
        assert run("--version").stdout.strip() == hypernova.__version__

    @pytest.mark.slow
    def test_a_closed_pipe_is_no_error(self, fitted) -> None:
        route = f"{sys.executable} -m hypernova.cli route -a {fitted} -"
        route = f"{sys.executable} -m hypernova.cli route -a {fitted} -"
        command = f"yes 'Join two tables' | head -2000 | {route} | head -1"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert done.stdout.count("\n") == 1
        assert done.stderr == ""
