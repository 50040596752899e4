"""Runs of HELM: real ones of mock models, cut, altered and joined, and HELM itself if installed."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.broken_logs import altered, is_one_line, peak_memory_of_reading
from tests.support.helm_runs import helm_run, run_helm
from tests.support.paths import ROOT

from hypernova.errors import TableError
from hypernova.table.log_files.files import LogFile
from hypernova.table.log_files.prompt_choice import PromptChoice
from hypernova.table.logs import read_logs
from hypernova.table.sources.helm import HelmReader
from hypernova.table.sources.log import LeftOut, Metric, Note, Record, Reported, Sample

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = ROOT / "examples" / "logs" / "helm"
STATE, INSTANCES = "scenario_state.json", "per_instance_stats.json"
FILES = ("run_spec.json", STATE, INSTANCES, "stats.json")


def unpack(folder: Path, model: str = "small") -> Path:
    """Lay a run as HELM wrote it."""
    for path in (EXAMPLES / f"mock_{model}").iterdir():
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        (folder / path.name.removesuffix(".gz")).write_bytes(content)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return unpack(tmp_path)


def read(folder: Path, prompt: str = "auto") -> list[Record]:
    files = [LogFile(path) for path in sorted(folder.iterdir())]
    (log,) = [file for file in files if HelmReader().recognise(file)]
    others = [file for file in files if HelmReader().accompanies(file)]
    return list(HelmReader().read(log, others, PromptChoice.parse(prompt)))


def samples(records: list[Record]) -> list[Sample]:
    return [record for record in records if isinstance(record, Sample)]


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def change(folder: Path, file: str, edit: Any) -> None:
    """Apply an edit to the JSON of a file; what it returns, if anything, replaces the whole."""
    document = load(folder / file)
    replaced = edit(document)
    (folder / file).write_text(json.dumps(document if replaced is None else replaced))


def test_a_run_is_read_with_the_scores_that_helm_computed(run: Path) -> None:
    found = samples(read(run))
    known = {"What is the capital of Peru?"}
    assert {s.prompt: s.scores["exact_match"] for s in found} == {
        f"What is the capital of {country}?": float(f"What is the capital of {country}?" in known)
        for country in ("Mali", "Peru", "Oman", "Fiji")
    }
    assert {s.model for s in found} == {"mock/small"}
    assert {s.group for s in found} == {"capitals:continent=all"}
    assert {s.task for s in found} == {"id0", "id1", "id2", "id3"}
    assert all(s.left_out is None and s.cost_usd is None for s in found)


def test_latency_and_tokens_are_those_of_the_statistics(run: Path) -> None:
    by_id = {entry["instance_id"]: entry for entry in load(run / INSTANCES)}
    for entry in load(run / INSTANCES):
        if "perturbation" not in entry:
            by_id[entry["instance_id"]] = {s["name"]["name"]: s.get("mean") for s in entry["stats"]}
    for sample in samples(read(run)):
        stats = by_id[sample.task]
        assert sample.latency_s == stats["inference_runtime"]
        assert sample.input_tokens == stats["num_prompt_tokens"]
        assert sample.output_tokens == stats["num_completion_tokens"]


def test_statistics_of_requests_are_no_metrics(run: Path) -> None:
    metrics = [record.name for record in read(run) if isinstance(record, Metric)]
    assert metrics == ["exact_match", "f1_score"]
    assert all(set(sample.scores) == set(metrics) for sample in samples(read(run)))


def test_perturbed_instances_are_left_out_and_said(run: Path) -> None:
    states = load(run / STATE)["request_states"]
    assert any("perturbation" in state["instance"] for state in states)
    records = read(run)
    assert len(samples(records)) == sum("perturbation" not in s["instance"] for s in states)
    assert [r for r in records if isinstance(r, Note) and "perturbed" in r.text]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", "What is the capital of Peru?"),
        ("user", "What is the capital of Peru?"),
        ("field:text", "What is the capital of Peru?"),
        (
            "sent",
            "Answer with the name of the city only.\n\nQuestion: What is the capital of Chad?\n"
            "Answer: Ndjamena\n\nQuestion: What is the capital of Peru?\nAnswer:",
        ),
    ],
)
def test_the_prompt_is_the_input_or_what_was_sent(run: Path, choice: str, expected: str) -> None:
    assert expected in [sample.prompt for sample in samples(read(run, choice))]


def test_messages_and_media_of_an_instance(run: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        first, second = [
            s for s in document["request_states"] if not s["instance"].get("perturbation")
        ][:2]
        first["instance"]["input"]["messages"] = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ]
        second["instance"]["input"]["multimedia_content"] = {
            "media_objects": [
                {"content_type": "text/plain", "text": "Who is this?"},
                {"content_type": "image/png", "location": "face.png"},
            ]
        }

    change(run, STATE, edit)
    first, second, *_ = samples(read(run))
    assert (first.prompt, first.media) == ("Hi", False)
    assert (second.prompt, second.media) == ("Who is this?", True)


def test_fields_that_an_instance_lacks_are_named(run: Path) -> None:
    with pytest.raises(
        TableError, match=r"request state 1: has no field 'x', found 'text'; .*--pr"
    ):
        read(run, "field:x")


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("capitals:model=mock_small", "capitals"),
        ("mmlu:subject=law,method=multiple_choice_joint,model=a_b", "mmlu:subject=law"),
        ("gsm:model=a_b,stop=hash,level=2,num_train_trials=3", "gsm:level=2"),
        ("plain", "plain"),
    ],
)
def test_the_group_is_the_scenario_without_model_and_template(
    run: Path, name: str, group: str
) -> None:
    change(run, "run_spec.json", lambda document: document.update(name=name))
    assert {sample.group for sample in samples(read(run))} == {group}


def test_without_a_specification_the_folder_names_the_run(run: Path) -> None:
    (run / "run_spec.json").unlink()
    assert {sample.group for sample in samples(read(run))} == {run.name}


def test_the_same_question_is_one_task_whichever_model_answered(tmp_path: Path) -> None:
    folders = [tmp_path / model for model in ("small", "large")]
    for folder in folders:
        folder.mkdir()
        unpack(folder, folder.name)
    small, large = [{s.task: s.document for s in samples(read(folder))} for folder in folders]
    assert small == large
    assert len(set(small.values())) == 4


def test_other_references_are_another_task(run: Path) -> None:
    before = {sample.document for sample in samples(read(run))}

    def edit(document: dict[str, Any]) -> None:
        for state in document["request_states"]:
            state["instance"]["references"][0]["output"]["text"] = "Paris"

    change(run, STATE, edit)
    assert before.isdisjoint(sample.document for sample in samples(read(run)))


def test_a_copy_of_a_run_adds_nothing_and_a_new_run_repeats(tmp_path: Path) -> None:
    for name in ("one", "copy", "again"):
        (tmp_path / name).mkdir()
        unpack(tmp_path / name)
    (tmp_path / "large").mkdir()
    unpack(tmp_path / "large", "large")

    def later(document: dict[str, Any]) -> None:
        for state in document["request_states"]:
            state["result"]["request_datetime"] += 60

    change(tmp_path / "again", STATE, later)
    summary = read_logs(tmp_path, score="exact_match").summary
    assert summary.left_out == {LeftOut.DUPLICATE: 4}
    assert summary.repeats == 4
    assert summary.tasks == 4


def test_a_failed_request_is_no_score_of_zero(run: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        states = [s for s in document["request_states"] if not s["instance"].get("perturbation")]
        states[0]["result"]["success"] = False
        del states[1]["result"]

    change(run, STATE, edit)
    assert [sample.left_out for sample in samples(read(run))] == [
        *(LeftOut.ERROR, LeftOut.ERROR),
        *(None, None),
    ]


def test_an_instance_without_statistics_is_unscored(run: Path) -> None:
    change(run, INSTANCES, lambda document: [e for e in document if e["instance_id"] != "id0"])
    missing = [sample for sample in samples(read(run)) if sample.task == "id0"]
    assert [sample.scores for sample in missing] == [{"exact_match": None, "f1_score": None}]


def test_nan_is_unscored(run: Path) -> None:
    text = (run / INSTANCES).read_text().replace('"mean": 1.0', '"mean": NaN')
    (run / INSTANCES).write_text(text)
    found = samples(read(run))
    assert all(sample.scores["exact_match"] in {0.0, None} for sample in found)
    assert any(sample.scores["exact_match"] is None for sample in found)


def test_a_request_for_each_choice_is_one_sample(run: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        states = document["request_states"]
        document["request_states"] = [{**s, "reference_index": n} for s in states for n in (0, 1)]

    change(run, STATE, edit)
    assert len(samples(read(run))) == 4


def test_an_empty_input_is_a_prompt_without_text(run: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        for state in document["request_states"]:
            state["instance"]["input"]["text"] = " \n"

    change(run, STATE, edit)
    assert {(s.prompt, s.left_out) for s in samples(read(run))} == {(None, LeftOut.NO_PROMPT)}


def test_a_metric_of_which_lower_is_better_is_told(run: Path) -> None:
    text = (run / INSTANCES).read_text().replace('"f1_score"', '"wer_score"')
    (run / INSTANCES).write_text(text)
    metrics = {r.name: r.higher_is_better for r in read(run) if isinstance(r, Metric)}
    assert metrics == {"exact_match": None, "wer_score": False}


@pytest.mark.parametrize("model", ["small", "large"])
def test_the_means_agree_with_those_of_helm(tmp_path: Path, model: str) -> None:
    records = read(unpack(tmp_path, model))
    stated = {r.metric: r.value for r in records if isinstance(r, Reported)}
    assert set(stated) == {"exact_match", "f1_score"}
    for metric, value in stated.items():
        scores = [sample.scores[metric] for sample in samples(records)]
        assert math.fsum(scores) / len(scores) == pytest.approx(value, abs=1e-12)  # type: ignore[arg-type]


def test_means_of_splits_are_weighted_by_their_instances(run: Path) -> None:
    """One of four instances in another split: its mean must count a quarter."""

    def split(entry: dict[str, Any]) -> None:
        for statistic in entry["stats"]:
            statistic["name"]["split"] = "valid"

    def of_instances(document: list[dict[str, Any]]) -> None:
        for entry in document:
            if entry["instance_id"] == "id1" and "perturbation" not in entry:
                split(entry)

    def of_run(document: list[dict[str, Any]]) -> None:
        for statistic in list(document):
            name = statistic["name"]
            if name["name"] == "exact_match" and "perturbation" not in name:
                statistic["mean"] = 0.0
                document.append({**statistic, "mean": 1.0, "name": {**name, "split": "valid"}})

    change(run, INSTANCES, of_instances)
    change(run, "stats.json", of_run)
    values = {r.metric: r.value for r in read(run) if isinstance(r, Reported)}
    assert values["exact_match"] == 0.25


def test_both_runs_become_a_table_with_a_metric_that_was_asked_for() -> None:
    with pytest.raises(TableError, match="has several scores: 'exact_match' and 'f1_score'"):
        read_logs(EXAMPLES)
    imported = read_logs(EXAMPLES, score="exact_match")
    assert imported.summary.models == {"mock/large": (4, 0.75), "mock/small": (4, 0.25)}
    assert len(imported.summary.agreement) == 2
    assert all(one.agrees for one in imported.summary.agreement)
    assert imported.summary.unknown_files == (str(EXAMPLES / "README.md"),)
    assert imported.table.n_tasks == 4


def test_only_the_state_is_a_log_and_its_neighbours_accompany_it(run: Path) -> None:
    (run / "other.json").write_text('{"name": "other"}')
    (run / "results.json").write_text('{"adapter_spec": {}, "requests": []}')
    reader = HelmReader()
    files = {path.name: LogFile(path) for path in run.iterdir()}
    assert [name for name, file in files.items() if reader.recognise(file)] == [STATE]
    assert {name for name, file in files.items() if reader.accompanies(file)} == {*FILES} - {STATE}


def test_names_of_files_do_not_matter(run: Path) -> None:
    before = samples(read(run))
    for number, name in enumerate(FILES):
        (run / name).rename(run / f"{number}.txt")
    assert samples(read(run)) == before


def test_a_state_alone_asks_for_its_folder(run: Path) -> None:
    (run / INSTANCES).unlink()
    with pytest.raises(TableError, match=r"has no per_instance_stats.json beside it.*whole folder"):
        read(run)


@pytest.fixture
def small_run(run: Path) -> Path:
    """A run of one instance and few statistics, in files without blanks."""

    def only(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = {"num_prompt_tokens", "inference_runtime", "exact_match"}
        return [
            e for e in entries if e["name"]["name"] in names and "perturbation" not in e["name"]
        ]

    def state(document: dict[str, Any]) -> None:
        document["adapter_spec"] = {"model": "mock/small"}
        document["request_states"] = document["request_states"][:1]

    def instances(document: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first = next(e for e in document if "perturbation" not in e)
        return [{**first, "stats": only(first["stats"])}]

    def specification(document: dict[str, Any]) -> dict[str, Any]:
        kept = ("name", "scenario_spec", "groups")
        return {**{k: document[k] for k in kept}, "adapter_spec": {}, "metric_specs": []}

    change(run, STATE, state)
    change(run, INSTANCES, instances)
    change(run, "stats.json", only)
    change(run, "run_spec.json", specification)
    return run


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_cut_anywhere_is_one_error(small_run: Path, file: str) -> None:
    whole = (small_run / file).read_bytes()
    refused = 0
    for end in [*range(1, len(whole), 11), len(whole) - 1]:
        (small_run / file).write_bytes(whole[:end])
        files = [LogFile(path) for path in small_run.iterdir()]
        others = [one for one in files if HelmReader().accompanies(one)]
        if file != STATE and not any(one.path.name == file for one in others):
            continue  # so short that it is a file of no tool
        with pytest.raises(TableError) as caught:
            list(HelmReader().read(LogFile(small_run / STATE), others, PromptChoice()))
        assert is_one_line(caught.value)
        assert file in str(caught.value)
        refused += 1
    assert refused


def test_a_log_that_is_cut_short_is_still_known(small_run: Path) -> None:
    whole = (small_run / STATE).read_bytes()
    for end in (20, 60, 200, len(whole) // 2, len(whole) - 1):
        (small_run / STATE).write_bytes(whole[:end])
        assert HelmReader().recognise(LogFile(small_run / STATE))
    for name in FILES:
        if name != STATE:
            assert not HelmReader().recognise(LogFile(small_run / name))


@pytest.mark.parametrize("file", FILES)
def test_values_of_other_types_are_read_or_refused_in_one_line(small_run: Path, file: str) -> None:
    files = {name: LogFile(small_run / name) for name in FILES}
    others = [one for name, one in files.items() if name != STATE]
    # Known before it is changed, so that it is read as what it was.
    assert all(HelmReader().accompanies(one) for one in others)
    refused = []
    for changed in altered(load(small_run / file)):
        (small_run / file).write_text(json.dumps(changed))
        try:
            list(HelmReader().read(files[STATE], others, PromptChoice()))
        except TableError as error:
            refused.append(error)
    # The name of a run that is no text gives way to that of its folder.
    assert bool(refused) == (file != "run_spec.json")
    assert all(is_one_line(error) for error in refused)


def test_a_layout_that_is_not_known_names_the_versions(run: Path) -> None:
    change(run, STATE, lambda document: document.update(request_states=[{"prompt": "Hi"}]))
    with pytest.raises(TableError, match=r"request state 1: the instance is None.*0\.2 to 0\.5"):
        read(run)


def test_a_large_run_is_read_in_pieces(run: Path) -> None:
    state = load(run / STATE)
    (first,) = state.pop("request_states")[:1]
    first["request"]["prompt"] = "x" * 40_000
    head = json.dumps(state)[:-1]
    with (run / STATE).open("w") as file:
        file.write(f'{head}, "request_states": [')
        for number in range(2000):
            first["instance"]["id"] = f"id{number}"
            file.write(("," if number else "") + json.dumps(first))
        file.write("]}")
    assert (run / STATE).stat().st_size > 80e6
    n_samples, grown = peak_memory_of_reading("helm", run / STATE)
    assert n_samples == 2000
    assert grown < 40e6


@pytest.mark.skipif(helm_run() is None, reason="helm-run (crfm-helm) is not installed")
def test_helm_itself_writes_what_is_read(tmp_path: Path) -> None:
    work, runs = tmp_path / "work", tmp_path / "runs"
    work.mkdir()
    for folder in run_helm(work, ",num_train_trials=2,perturbed=yes"):
        shutil.copytree(folder, runs / folder.name)
    imported = read_logs(runs, score="f1_score")
    assert imported.summary.logs == {"HELM": 2}
    assert imported.summary.unknown_files == ()
    assert imported.summary.repeats == 2 * imported.summary.tasks
    assert len(imported.summary.agreement) == 2
    assert all(one.agrees for one in imported.summary.agreement)
