"""`hypernova route`: decide which model should answer a prompt."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.device import add_device_to
from hypernova.errors import TextError
from hypernova.router import as_dict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypernova import Decision
    from hypernova.cli import Commands
    from hypernova.router import Wishes

SHOWN_MODELS = 5


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "route",
        help="decide which model should answer a prompt",
        epilog="Put TEXT before options that take several models, or after '--'.",
    )
    parser.add_argument("text", metavar="TEXT", help="the prompt, or - for one prompt a line")
    parser.add_argument(
        "-a", "--artifact", metavar="ROUTER.hnv", help="by default the bundled artifact"
    )
    parser.add_argument("--embedder", metavar="DIR", help="if the artifact's is not bundled")
    add_device_to(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--cost-weight", type=float, metavar="X", help="success per USD")
    parser.add_argument("--latency-weight", type=float, metavar="X", help="success per second")
    parser.add_argument(
        "--max-cost-usd", type=float, metavar="USD", help="inf lifts the artifact's own limit"
    )
    parser.add_argument("--min-success", type=float, metavar="P")
    parser.add_argument("--allow", nargs="+", action="extend", metavar="M")
    parser.add_argument("--deny", nargs="+", action="extend", metavar="M")
    parser.add_argument(
        "--price", nargs="+", action="extend", type=_price, metavar="M=USD", dest="prices"
    )
    parser.add_argument("--previous-model", metavar="M", help="the conversation's")
    parser.add_argument("--switch-cost", type=float, metavar="X", help="utility to gain by leaving")
    parser.add_argument("--explore", type=float, metavar="P", help="chance of a model drawn")
    parser.add_argument("--on-novel", choices=("default", "best_overall", "error"))
    parser.set_defaults(run=_route)


def _price(text: str) -> tuple[str, float]:
    model, _, price = text.rpartition("=")
    try:
        if model:
            return model, float(price)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected MODEL=USD, got {text!r}")


def _wishes(arguments: argparse.Namespace) -> Wishes:
    return {
        "cost_weight": arguments.cost_weight,
        "latency_weight": arguments.latency_weight,
        "max_cost_usd": arguments.max_cost_usd,
        "min_success": arguments.min_success,
        "allow": arguments.allow,
        "deny": arguments.deny,
        "prices": dict(arguments.prices) if arguments.prices else None,
        "previous_model": arguments.previous_model,
        "switch_cost": arguments.switch_cost,
        "explore": arguments.explore,
        "on_novel": arguments.on_novel,
    }


def _route(arguments: argparse.Namespace) -> None:
    router = hypernova.Router.open(
        arguments.artifact, embedder=arguments.embedder, device=arguments.device
    )
    wishes = _wishes(arguments)
    if arguments.text != "-":
        decision = router.route(arguments.text, **wishes)
        if arguments.json:
            print(_json(decision))
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
        print(_json(decision) if arguments.json else plain, flush=True)


def _lines() -> Iterable[str]:
    # Bytes that are not UTF-8 become U+FFFD: a prompt is for reading, not for decoding.
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", errors="replace").rstrip("\r\n")


def _json(decision: Decision) -> str:
    return json.dumps(as_dict(decision), ensure_ascii=False)


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
    "routed": "the outcomes of prompts like it say that this model beats the default one",
    "default_no_evidence": "the default model; nothing is proven to beat it for prompts like it",
    "default_novel": "the prompt is unlike the training prompts, so the whole table decides",
    "constrained": "the first choice was not allowed",
    "stayed": "another model does not gain enough to leave the conversation's",
    "explored": "drawn, to learn how it does",
    "best_overall": "the prompt is unlike the training prompts; the best of the whole table",
}
