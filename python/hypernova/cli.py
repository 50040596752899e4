"""The command ``hypernova``.

Not here: anything that the Python interface cannot do. Exit codes: 0 done; 2 bad
usage; 1 anything else, with one line on standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypernova
from hypernova.errors import HypernovaError, NotFoundError, TextError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypernova import Artifact, Decision, Router
    from hypernova.router import Wishes

SHOWN_MODELS = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (HypernovaError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            # The reader of our output is gone, as with `| head`: not an error. Python
            # would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"hypernova: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hypernova",
        description="Route a prompt to the language model most likely to solve it.",
    )
    parser.add_argument("--version", action="version", version=hypernova.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="learn an artifact from an outcome table")
    fit.add_argument("data", metavar="DATA", help="folder, .jsonl, .csv or .parquet")
    fit.add_argument("-o", "--output", required=True, metavar="ROUTER.hnv")
    fit.add_argument("--embedder", default="static", metavar="static|minilm|DIR")
    fit.add_argument("--clusters", type=_clusters, default="auto", metavar="auto|K")
    fit.add_argument(
        "--structure",
        metavar="PROMPTS",
        help="fit the clusters on these unlabelled prompts: .txt, .jsonl, .csv, .parquet, folder",
    )
    fit.add_argument("--seed", type=int, default=0, metavar="N")
    fit.set_defaults(run=_fit)

    route = commands.add_parser(
        "route",
        help="decide which model should answer a prompt",
        epilog="Put TEXT before options that take several models, or after '--'.",
    )
    route.add_argument("text", metavar="TEXT", help="the prompt, or - for one prompt a line")
    _artifact_option(route)
    route.add_argument("--embedder", metavar="DIR", help="if the artifact's is not bundled")
    route.add_argument("--json", action="store_true", help="one JSON object a line")
    route.add_argument("--cost-weight", type=float, metavar="X", help="success per USD")
    route.add_argument("--latency-weight", type=float, metavar="X", help="success per second")
    route.add_argument("--max-cost-usd", type=float, metavar="USD")
    route.add_argument("--min-success", type=float, metavar="P")
    route.add_argument("--allow", nargs="+", action="extend", metavar="M")
    route.add_argument("--deny", nargs="+", action="extend", metavar="M")
    route.add_argument(
        "--price", nargs="+", action="extend", type=_price, metavar="M=USD", dest="prices"
    )
    route.set_defaults(run=_route)

    inspect = commands.add_parser("inspect", help="show what an artifact holds")
    inspect.add_argument("artifact", metavar="ROUTER.hnv")
    inspect.add_argument("--json", action="store_true")
    inspect.set_defaults(run=_inspect)
    return parser


def _artifact_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-a", "--artifact", metavar="ROUTER.hnv", help="by default the bundled artifact"
    )


def _clusters(text: str) -> int | str:
    if text == "auto":
        return text
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected auto or a whole number from 1, got {text!r}")
    return int(text)


def _price(text: str) -> tuple[str, float]:
    model, _, price = text.rpartition("=")
    try:
        if model:
            return model, float(price)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected MODEL=USD, got {text!r}")


def _fit(arguments: argparse.Namespace) -> None:
    from hypernova.table import read_prompts

    folder = Path(arguments.output).absolute().parent
    if not folder.is_dir():  # said before the work, not after it
        raise NotFoundError(
            f"{arguments.output}: the folder {folder} does not exist; make it first"
        )
    structure = None if arguments.structure is None else read_prompts(arguments.structure)
    artifact = hypernova.fit(
        hypernova.OutcomeTable.read(arguments.data),
        embedder=arguments.embedder,
        clusters=arguments.clusters,
        seed=arguments.seed,
        structure=structure,
        progress=sys.stderr.isatty(),
    )
    artifact.save(arguments.output)
    print(f"wrote {arguments.output}")
    _print_summary(artifact)


def _print_summary(artifact: Artifact) -> None:
    """What an artifact is and how it did, each figure labelled."""
    metadata: dict[str, Any] = json.loads(artifact.metadata or "{}")
    identity = json.loads(artifact.embedder)
    print(
        f"{artifact.clusters} clusters, {len(artifact.models)} models, "
        f"default {artifact.default_model}, embedder {identity['name']}"
    )
    if "in_sample" in metadata:
        figures = metadata["in_sample"]
        print(
            f"in-sample accuracy        {figures['accuracy']:.4f} with {figures['models_used']} "
            f"models; best single {figures['best_single']:.4f} ({figures['best_single_model']})\n"
            "                          rates and test are the same tasks: "
            "this says nothing about new ones"
        )
    if "selection" in metadata:
        figures = metadata["selection"]
        print(
            f"cross-validated accuracy  {figures['accuracy']:.4f}; "
            f"best single of each fold {figures['best_single']:.4f}\n"
            f"                          {figures['folds']} folds, {figures['repeats']} times; they "
            "also chose the setting, so slightly too good"
        )


def _wishes(arguments: argparse.Namespace) -> Wishes:
    return {
        "cost_weight": arguments.cost_weight,
        "latency_weight": arguments.latency_weight,
        "max_cost_usd": arguments.max_cost_usd,
        "min_success": arguments.min_success,
        "allow": arguments.allow,
        "deny": arguments.deny,
        "prices": dict(arguments.prices) if arguments.prices else None,
    }


def _route(arguments: argparse.Namespace) -> None:
    router = hypernova.Router.open(arguments.artifact, embedder=arguments.embedder)
    wishes = _wishes(arguments)
    if arguments.text != "-":
        decision = router.route(arguments.text, **wishes)
        if arguments.json:
            print(_decision_json(router, decision))
        else:
            _print_decision(decision)
        return
    # Each line is answered before the next is read, so that a process that waits
    # for its answer gets it.
    for number, line in enumerate(_lines(), start=1):
        try:
            decision = router.route(line, **wishes)
        except TextError as error:
            raise TextError(f"standard input, line {number}: {error}") from None
        plain = f"{decision.model}\t{decision.reason}\t{decision.cluster}\t{decision.novelty:.3f}"
        print(_decision_json(router, decision) if arguments.json else plain, flush=True)


def _lines() -> Iterable[str]:
    # Bytes that are not UTF-8 become U+FFFD: a prompt is for reading, not for decoding.
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", errors="replace").rstrip("\r\n")


def _decision_json(router: Router, decision: Decision) -> str:
    ranking = [
        {
            "model": entry.model,
            "success": entry.success,
            "cost_usd": entry.cost_usd,
            "latency_s": entry.latency_s,
            "n": entry.n,
            "utility": entry.utility,
        }
        for entry in decision.ranking
    ]
    return json.dumps(
        {
            "model": decision.model,
            "reason": decision.reason,
            "cluster": decision.cluster,
            "distance": decision.distance,
            "novelty": decision.novelty,
            "ranking": ranking,
            "artifact": router.artifact.sha256,
        },
        ensure_ascii=False,
    )


def _print_decision(decision: Decision) -> None:
    print(decision.model)
    print(f"  {decision.reason}: {_REASONS[decision.reason]}")
    print(f"  cluster {decision.cluster}, novelty {decision.novelty:.3f}\n")
    print(f"  {'success':>7} {'cost USD':>9} {'n':>5}  model")
    for entry in decision.ranking[:SHOWN_MODELS]:
        cost = "unknown" if entry.cost_usd is None else f"{entry.cost_usd:.4f}"
        print(f"  {entry.success:7.3f} {cost:>9} {entry.n:5g}  {entry.model}")
    if len(decision.ranking) > SHOWN_MODELS:
        print(f"  and {len(decision.ranking) - SHOWN_MODELS} more")


_REASONS = {
    "routed": "the outcomes of this cluster say that it beats the default model",
    "default_no_evidence": "the default model; nothing is proven to beat it in this cluster",
    "default_novel": "the prompt is unlike the training prompts, so the whole table decides",
    "constrained": "the first choice was not allowed",
}


def _inspect(arguments: argparse.Namespace) -> None:
    artifact = hypernova.Artifact.open(arguments.artifact)
    if arguments.json:
        print(json.dumps(_inspection(artifact), ensure_ascii=False))
        return
    _print_summary(artifact)
    print("\ncluster   tasks  success  model taken")
    chosen = artifact.decide_many(artifact.centroids)
    for cluster, decision in enumerate(chosen):
        entry = decision.ranking[0]
        tasks = artifact.counts[cluster].max()
        print(f"{cluster:7d} {tasks:7g}  {entry.success:7.3f}  {decision.model}")


def _inspection(artifact: Artifact) -> dict[str, Any]:
    def rows(values: Any) -> Any:
        return [[None if v != v else v for v in row] for row in values.tolist()]  # NaN: unknown

    return {
        "version": list(artifact.version),
        "sha256": artifact.sha256,
        "clusters": artifact.clusters,
        "dim": artifact.dim,
        "models": list(artifact.models),
        "default_model": artifact.default_model,
        "policy": artifact.policy,
        "embedder": json.loads(artifact.embedder),
        "metadata": json.loads(artifact.metadata or "{}"),
        "profiles": {
            "n": rows(artifact.counts),
            "mean": rows(artifact.mean),
            "success": rows(artifact.success),
            "standard_error": rows(artifact.standard_error),
            "gain_error": rows(artifact.gain_error),
            "cost_usd": rows(artifact.cost),
            "latency_s": rows(artifact.latency),
        },
    }


if __name__ == "__main__":
    sys.exit(main())
