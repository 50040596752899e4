"""Choose a model for each prompt of a Parquet file, and compare with the default model for all.

Not here: calls of the models. Prompts may as well be CSV or JSON Lines, in several files; without
the comparison it is `hypernova route --input prompts.parquet --output decisions.parquet`.

    python examples/beside/batch.py prompts.parquet decisions.parquet -a router.hnv --cost-weight 1
"""

import argparse
import tempfile
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from hypernova import Router


def estimates(decisions: str | Path) -> tuple[float, float]:
    """Return the mean success estimate and the sum of expected costs of a file of decisions."""
    table = pq.read_table(decisions, columns=["success", "cost_usd"])
    success = pc.mean(table["success"], min_count=0)
    return success.as_py(), pc.sum(table["cost_usd"], min_count=0).as_py()


def main() -> None:
    """Route a file of prompts."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("prompts", help="a file, folder or pattern with the column prompt")
    parser.add_argument("decisions", help="the .parquet file to write")
    parser.add_argument("-a", "--artifact", help="by default the bundled one")
    parser.add_argument("--cost-weight", type=float, help="success per USD")
    arguments = parser.parse_args()

    with Router.open(arguments.artifact) as router:
        routed = router.route_table(
            arguments.prompts, arguments.decisions, cost_weight=arguments.cost_weight, jobs=None
        )
        default = router.artifact.default_model
        with tempfile.TemporaryDirectory() as folder:
            alone = Path(folder) / "default.parquet"
            router.route_table(arguments.prompts, alone, allow=[default], jobs=None)
            found, of_default = estimates(arguments.decisions), estimates(alone)

    for model, count in routed.model_counts.items():
        print(f"{count:8}  {model}")
    print(f"{routed.n_errors:8}  without a decision: see the column error")
    print(f"expected: success {found[0]:.3f}, ${found[1]:.2f}")
    print(f"{default} alone: success {of_default[0]:.3f}, ${of_default[1]:.2f}")


if __name__ == "__main__":
    main()
