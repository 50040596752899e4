"""Run HELM on a small scenario with mock models; needs `crfm-helm` and makes no request.

Run as a script, it writes `examples/logs/helm` anew: ``python tests/support/helm_runs.py FOLDER``.
Not here: reading what HELM wrote.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# HELM names a class by its module, so the models and the scenario are written as a module for it.
PLUGIN = """
from helm.benchmark.adaptation.common_adapter_specs import get_generation_adapter_spec
from helm.benchmark.augmentations.data_augmenter import DataAugmenterSpec
from helm.benchmark.augmentations.perturbation import PerturbationSpec
from helm.benchmark.metrics.common_metric_specs import get_basic_metric_specs
from helm.benchmark.run_spec import RunSpec, run_spec_function
from helm.benchmark.scenarios.scenario import (
    CORRECT_TAG, TEST_SPLIT, TRAIN_SPLIT, Input, Instance, Output, Reference, Scenario,
    ScenarioSpec,
)
from helm.clients.simple_client import SimpleClient

CAPITALS = {
    "Mali": "Bamako", "Peru": "Lima", "Oman": "Muscat", "Fiji": "Suva", "Cuba": "Havana",
    "Chad": "Ndjamena",
}
# Countries of which a model knows the capital.
KNOWN = {"small": ["Peru", "Cuba"], "large": ["Peru", "Cuba", "Oman", "Mali"]}


class CapitalsScenario(Scenario):
    name = "capitals"
    description = "Capitals of countries."
    tags = ["question answering"]

    def __init__(self, continent: str = "all"):
        super().__init__()

    def get_instances(self, output_path):
        return [
            Instance(
                Input(text=f"What is the capital of {country}?"),
                [Reference(Output(text=capital), tags=[CORRECT_TAG])],
                split=TRAIN_SPLIT if country == "Chad" else TEST_SPLIT,
            )
            for country, capital in CAPITALS.items()
        ]


class CapitalsClient(SimpleClient):
    def invoke_model(self, raw_request):
        question = raw_request["prompt"].rpartition("Question:")[2]
        # The perturbation writes in lower case, which no mock model reads.
        known = [c for c in KNOWN[raw_request["engine"]] if f"of {c}?" in question]
        return {"completions": [CAPITALS[known[0]] if known else "unknown"]}


@run_spec_function("capitals")
def get_capitals_spec(continent: str = "all", perturbed: str = "") -> RunSpec:
    augmenter = DataAugmenterSpec()
    if perturbed:
        augmenter = DataAugmenterSpec(
            perturbation_specs=[
                PerturbationSpec(
                    class_name="helm.benchmark.augmentations.lowercase_perturbation."
                    "LowerCasePerturbation",
                    args={},
                )
            ],
            should_augment_eval_instances=True,
            should_include_original_eval=True,
        )
    return RunSpec(
        name=f"capitals:continent={continent}",
        scenario_spec=ScenarioSpec(
            class_name="hypernova_helm_mock.CapitalsScenario", args={"continent": continent}
        ),
        adapter_spec=get_generation_adapter_spec(
            instructions="Answer with the name of the city only.",
            input_noun="Question",
            output_noun="Answer",
            max_train_instances=1,
            num_outputs=1,
        ),
        metric_specs=get_basic_metric_specs(["exact_match", "f1_score"]),
        data_augmenter_spec=augmenter,
        groups=["capitals"],
    )
"""
DEPLOYMENTS = """
model_deployments:
  - name: mock/small
    model_name: mock/small
    tokenizer_name: simple/tokenizer1
    max_sequence_length: 2048
    client_spec: {class_name: "hypernova_helm_mock.CapitalsClient"}
  - name: mock/large
    model_name: mock/large
    tokenizer_name: simple/tokenizer1
    max_sequence_length: 2048
    client_spec: {class_name: "hypernova_helm_mock.CapitalsClient"}
"""
_MODEL = """
  - name: mock/{name}
    display_name: Mock {name}
    description: A mock model.
    creator_organization_name: Mock
    access: open
    release_date: 2026-01-01
    tags: [TEXT_MODEL_TAG, FULL_FUNCTIONALITY_TEXT_MODEL_TAG]
"""
MODELS = ("small", "large")
RUN_SPEC = "capitals:continent=all{args},model=mock/{model}"


def helm_run() -> str | None:
    """Return the path of `helm-run`, or None where HELM is not installed."""
    return shutil.which("helm-run")


def run_helm(folder: Path, args: str = "", instances: int = 5) -> list[Path]:
    """Run both mock models, and return the folders of the runs.

    Args:
        folder: An empty folder to work in.
        args: Further arguments of the run specification, such as ``,num_train_trials=2``.
        instances: Number of instances.
    """
    command = helm_run()
    if command is None:
        raise RuntimeError("helm-run is not on the path; install crfm-helm")
    (folder / "hypernova_helm_mock.py").write_text(PLUGIN)
    local = folder / "prod_env"
    local.mkdir()
    (local / "model_deployments.yaml").write_text(DEPLOYMENTS)
    models = "models:" + "".join(_MODEL.format(name=name) for name in MODELS)
    (local / "model_metadata.yaml").write_text(models)
    entries = [RUN_SPEC.format(args=args, model=model) for model in MODELS]
    subprocess.run(
        [
            *(command, "--local-path", "prod_env", "--suite", "mock", "--exit-on-error"),
            *("--plugins", "hypernova_helm_mock", "--num-threads", "1"),
            *("--max-eval-instances", str(instances), "--run-entries", *entries),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    runs = folder / "benchmark_output" / "runs" / "mock"
    return sorted(run for run in runs.iterdir() if (run / "stats.json").exists())


def main() -> None:
    """Write the examples: each file as HELM wrote it, the two with statistics packed."""
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        for run in run_helm(Path(folder), ",perturbed=yes", 4):
            place = target / run.name.rpartition("model=")[2]
            place.mkdir(parents=True, exist_ok=True)
            for name in ("run_spec.json", "scenario_state.json"):
                shutil.copy(run / name, place / name)
            for name in ("stats.json", "per_instance_stats.json"):
                packed = gzip.compress((run / name).read_bytes(), mtime=0)
                (place / f"{name}.gz").write_bytes(packed)


if __name__ == "__main__":
    main()
