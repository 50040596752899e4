"""`hypernova route`: decide which model should answer a prompt."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.device import add_device_to
from hypernova.cli.streams import complain, print_json
from hypernova.errors import HypernovaError, NoCandidateError, NovelPromptError, TextError
from hypernova.router.explanation import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypernova import Decision
    from hypernova.cli import Commands
    from hypernova.router import Explanation, RouteOptions

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
    parser.add_argument(
        "--explain",
        action="store_true",
        help="say what was read, the nearest clusters, and each model's estimate",
    )
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


def _options(arguments: argparse.Namespace) -> RouteOptions:
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


def _route(arguments: argparse.Namespace) -> int:
    router = hypernova.Router.open(
        arguments.artifact, embedder=arguments.embedder, device=arguments.device
    )
    options = _options(arguments)
    if arguments.text == "-":
        return _route_lines(router, arguments, options)
    if arguments.explain:
        _print_explanation(router.explain(arguments.text, **options), json=arguments.json)
        return 0
    decision = router.route(arguments.text, **options)
    if arguments.json:
        print_json(decision.to_dict())
    else:
        _print_decision(decision)
    return 0


def _route_lines(
    router: hypernova.Router, arguments: argparse.Namespace, options: RouteOptions
) -> int:
    """Print a line for each line of standard input, and return the exit code.

    A line that has no answer has an empty one, or an object with ``error``; so line n of the
    output is always that of line n of the input, but for explanations in words. Each line is
    answered before the next is read, so that a process that waits for its answer gets it.
    """
    code = 0
    for number, line in enumerate(_lines(), start=1):
        try:
            if arguments.explain:
                _print_explanation(router.explain(line, **options), json=arguments.json)
                continue
            decision = router.route(line, **options)
        except (TextError, NoCandidateError, NovelPromptError) as error:
            # What is wrong with this prompt alone; a wish out of range is so for all of them.
            complain(f"standard input, line {number}: {error}")
            code = 1
            if arguments.json:
                print_json({"error": str(error)})
            else:
                print()
        else:
            if arguments.json:
                print_json(decision.to_dict())
            else:
                where = f"{decision.cluster}\t{decision.novelty:.3f}"
                print(f"{decision.model}\t{decision.reason}\t{where}")
        sys.stdout.flush()
    return code


def _lines() -> Iterable[str]:
    if sys.stdin is None:
        raise HypernovaError("standard input is closed; send prompts to it, one a line")
    # Bytes that are not UTF-8 become U+FFFD: a prompt is for reading, not for decoding.
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", errors="replace").rstrip("\r\n")


def _print_explanation(said: Explanation, *, json: bool) -> None:
    if json:
        print_json(said.to_dict())
    else:
        print(said)
    sys.stdout.flush()


def _print_decision(decision: Decision) -> None:
    print(decision.model)
    print(f"  {decision.reason}: {REASONS[decision.reason]}")
    print(f"  cluster {decision.cluster}, novelty {decision.novelty:.3f}\n")
    print(f"  {'success':>7} {'cost USD':>9} {'n':>5}  model")
    for entry in decision.ranking[:SHOWN_MODELS]:
        cost = "unknown" if entry.cost_usd is None else f"{entry.cost_usd:.4f}"
        print(f"  {entry.success:7.3f} {cost:>9} {entry.n:5g}  {entry.model}")
    if len(decision.ranking) > SHOWN_MODELS:
        print(f"  and {len(decision.ranking) - SHOWN_MODELS} more")
