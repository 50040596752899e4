"""`hypernova route`: choose a model for a prompt, or for each prompt of a table.

Not here: the decision (`hypernova.router`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.arguments import (
    add_embedder_to,
    add_engine_to,
    add_route_options_to,
    prices_of,
    route_options,
)
from hypernova.cli.streams import print_error, print_json
from hypernova.errors import HypernovaError, NoCandidateError, NovelPromptError, TextError
from hypernova.paths import check_file, path_label
from hypernova.router.explanation import REASONS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from hypernova import Decision
    from hypernova.cli.arguments import Commands
    from hypernova.prices import Price
    from hypernova.router import Explanation, RouteOptions

SHOWN_MODELS = 5
_BUNDLED_SCOPE = """
The bundled artifact learned from Python issues alone, and this prompt is unlike them. Fit your own:
  hypernova evaluate TABLE            is routing worth it? TABLE: scores of models on your prompts
  hypernova fit TABLE -o router.hnv   then: hypernova route -a router.hnv TEXT
'hypernova examples' writes a table to try this on."""


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "route",
        epilog="Put TEXT before options that take several models, or after '--'.",
    )
    parser.add_argument(
        "text",
        nargs="?",
        type=str,
        metavar="TEXT",
        help="the prompt, or - for one prompt a line",
    )
    parser.add_argument(
        "--input",
        metavar="PROMPTS",
        help="instead of TEXT, a table of prompts: .parquet, .csv, .jsonl, .txt, folder or pattern",
    )
    parser.add_argument(
        "--output", metavar="DECISIONS.parquet", help="where the decisions for --input go"
    )
    parser.add_argument(
        "-a", "--artifact", metavar="ROUTER.hnv", help="by default the bundled artifact"
    )
    add_embedder_to(parser)
    add_engine_to(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument(
        "--explain",
        action="store_true",
        help="explain: the text that was read, the nearest clusters, each model's estimate",
    )
    add_route_options_to(parser)
    parser.add_argument("--previous-model", metavar="M", help="model of the conversation so far")
    parser.add_argument(
        "--switch-cost", type=float, metavar="X", help="utility that a switch of models must gain"
    )
    parser.add_argument(
        "--explore", type=float, metavar="P", help="probability of drawing the model at random"
    )
    parser.set_defaults(run=_route)


def _options(router: hypernova.Router, arguments: argparse.Namespace) -> RouteOptions:
    prices: dict[str, Price] = {}
    if arguments.price_file is not None:
        prices = prices_of(router.artifact, arguments.price_file)
    return {
        **route_options(arguments, prices),
        "previous_model": arguments.previous_model,
        "switch_cost": arguments.switch_cost,
        "explore": arguments.explore,
    }


def _route(arguments: argparse.Namespace) -> int:
    _check_usage(arguments)
    if arguments.input is not None:
        # Before the artifact is opened, and not after it.
        check_file(arguments.output, inputs=[arguments.input])
    router = hypernova.Router.open(
        arguments.artifact, embedder=arguments.embedder, device=arguments.device
    )
    options = _options(router, arguments)
    if arguments.input is not None:
        return _route_table(router, arguments, options)
    if arguments.text == "-":
        return _route_lines(router, arguments, options)
    if arguments.explain:
        explanation = router.explain(arguments.text, **options)
        _print_explanation(explanation, json=arguments.json)
        _print_scope(router, explanation.decision, arguments)
        return 0
    decision = router.route(arguments.text, **options)
    if decision.unknown_group:
        print_error(_no_such_group(router, arguments.group))
    if arguments.json:
        print_json(decision.to_dict())
    else:
        _print_decision(decision)
        _print_scope(router, decision, arguments)
    return 0


def _no_such_group(router: hypernova.Router, group: str) -> str:
    known = ", ".join(router.artifact.groups)
    has = f"it has {known}" if known else "it has none"
    return f"the artifact has no group {group!r}, so the text alone decides; {has}"


def _check_usage(arguments: argparse.Namespace) -> None:
    """End the process for a TEXT and options that contradict each other."""
    error = arguments.parser.error
    if arguments.input is None:
        if arguments.output is not None:
            error("--output is for the decisions of --input; name that too")
        if arguments.text is None:
            error("the following arguments are required: TEXT, or --input")
        return
    if arguments.text is not None:
        error("a TEXT was given and --input, too; give one of the two")
    if arguments.explain:
        error("--explain takes a TEXT, and no --input; leave one of the two out")
    if arguments.output is None:
        error("--input takes --output DECISIONS.parquet, for the decisions")


def _route_table(
    router: hypernova.Router, arguments: argparse.Namespace, options: RouteOptions
) -> int:
    """Route a table of prompts, print the counts, and return the exit code."""
    routed = router.route_table(
        arguments.input,
        arguments.output,
        engine=arguments.engine,
        jobs=arguments.jobs,
        progress=sys.stderr.isatty(),
        **options,
    )
    if arguments.json:
        print_json(routed.to_dict())
    else:
        from hypernova.offline_page.numbers import plural

        print(f"wrote {path_label(arguments.output)}")
        rate, prompts = routed.n_prompts / routed.duration_s, plural(routed.n_prompts, "prompt")
        print(f"{prompts} in {routed.duration_s:.1f} s, {rate:,.0f} a second")
        for model, count in routed.model_counts.items():
            print(f"  {count:>11,}  {count / routed.n_decided:6.1%}  {model}")
    if not routed.n_errors:
        return 0
    print_error(
        f"{path_label(arguments.output)}: {routed.n_errors:,} of {routed.n_prompts:,} prompts have "
        "no decision; the column 'error' says why"
    )
    return 1


def _route_lines(
    router: hypernova.Router, arguments: argparse.Namespace, options: RouteOptions
) -> int:
    """Print the decision for each line of standard input, and return the exit code.

    A line without a decision gets an empty line, or an object with ``error``: line n of the output
    always answers line n of the input, except with explanations in words. Each line is answered
    before the next is read, because a process may wait for the answer.
    """
    code = 0
    for number, line in enumerate(_lines(), start=1):
        try:
            if arguments.explain:
                _print_explanation(router.explain(line, **options), json=arguments.json)
                continue
            decision = router.route(line, **options)
        except (TextError, NoCandidateError, NovelPromptError) as error:
            # These concern one prompt; an option out of range concerns all and ends the command.
            print_error(f"standard input, line {number}: {error}")
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
    # Bytes that are not UTF-8 become U+FFFD: the rest of the prompt still decides.
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", errors="replace").rstrip("\r\n")


def _print_explanation(explanation: Explanation, *, json: bool) -> None:
    if json:
        print_json(explanation.to_dict())
    else:
        print(explanation)
    sys.stdout.flush()


def _print_scope(
    router: hypernova.Router, decision: Decision, arguments: argparse.Namespace
) -> None:
    """Say of a novel prompt that the bundled artifact, which nobody has named, knows one kind."""
    is_novel = decision.novelty > router.artifact.policy["novelty_limit"]
    if arguments.artifact is None and is_novel and not arguments.json:
        print(_BUNDLED_SCOPE)


def _print_decision(decision: Decision) -> None:
    print(decision.model)
    print(f"  {decision.reason}: {REASONS[decision.reason]}")
    group = f"group {decision.group}, " if decision.group is not None else ""
    print(f"  {group}cluster {decision.cluster}, novelty {decision.novelty:.3f}\n")
    print(f"  {'success':>7} {'cost USD':>9} {'n':>5}  model")
    for entry in decision.ranking[:SHOWN_MODELS]:
        cost = "unknown" if entry.cost_usd is None else f"{entry.cost_usd:.4f}"
        print(f"  {entry.success:7.3f} {cost:>9} {entry.n:5g}  {entry.model}")
    if len(decision.ranking) > SHOWN_MODELS:
        print(f"  and {len(decision.ranking) - SHOWN_MODELS} more")
