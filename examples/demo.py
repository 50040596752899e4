"""Run the main job from end to end: read a table, fit an artifact, route with it.

Not here: anything that `hypernova fit` and `hypernova route` do not do as well.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import hypernova
from hypernova.errors import HypernovaError

PROMPTS = (
    "Prove that the product of three consecutive integers is divisible by 6",
    "Rewrite this apology to a customer so that it sounds less stiff",
    "Two goroutines deadlock when both hold a mutex and wait for the other's channel",
)


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="an outcome table")
    parser.add_argument("--embedder", default="minilm", help="static, minilm or a folder")
    parser.add_argument("--prompt", help="one more prompt to route")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/demo.hnv"))
    arguments = parser.parse_args()
    try:
        run(arguments.data, arguments.embedder, arguments.output, arguments.prompt)
    except HypernovaError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def run(data: str, embedder: str, output: Path, prompt: str | None) -> None:
    """Fit ``data``, save the artifact to ``output``, and route some prompts."""
    table = hypernova.OutcomeTable.read(data)
    simulated = all(model.startswith("simulated-") for model in table.models)
    print(f"1. the table {table.name}: {table.n_tasks} tasks, {table.n_models} models")
    if simulated:
        print("   its outcomes are *simulated*: drawn by examples/simulate.py, of no real model")

    print(f"\n2. hypernova.fit: embedding with {embedder}, clustering, selecting on held-out tasks")
    artifact = hypernova.fit(table, embedder=embedder, progress=sys.stderr.isatty())
    output.parent.mkdir(parents=True, exist_ok=True)
    artifact.save(output)
    notes = artifact.metadata
    label = " (simulated)" if simulated else ""
    held_out, in_sample = notes["selection"], notes["in_sample"]
    print(
        f"   {artifact.n_clusters} clusters, saved as {output} ({output.stat().st_size} bytes)\n"
        f"   accuracy{label}       router  best single\n"
        f"   cross-validated   {held_out['accuracy']:9.4f}  {held_out['best_single']:11.4f}"
        "   its folds also chose the setting: slightly too good\n"
        f"   in-sample         {in_sample['accuracy']:9.4f}  {in_sample['best_single']:11.4f}"
        "   says nothing about new tasks"
    )

    print("\n3. Router.open and route")
    router = hypernova.Router.open(output)
    for text in [*PROMPTS, *([prompt] if prompt else [])]:
        decision = router.route(text)
        print(
            f"   {text}\n     -> {decision.model}   {decision.reason}, cluster {decision.cluster}"
        )

    text = PROMPTS[0]
    first = router.route(text).model
    frugal, without = router.route(text, cost_weight=100.0), router.route(text, deny=[first])
    print(
        "\n4. the first prompt again, under options; nothing is refitted\n"
        f"   cost_weight=100: {frugal.model}   {frugal.reason}\n"
        f"   deny={[first]}: {without.model}   {without.reason}"
    )
    print(f'\nTry: .venv/bin/hypernova route -a {output} "your prompt"')


if __name__ == "__main__":
    sys.exit(main())
