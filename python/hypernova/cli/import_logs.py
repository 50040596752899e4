"""`hypernova import`: make an outcome table of logs of evaluation tools.

Not here: how logs become tasks and outcomes (`hypernova.table.importing`), and the words of the
summary (`hypernova.cli.import_summary`).
"""

from __future__ import annotations

import argparse
import math
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hypernova.cli.import_summary import ImportCosts, print_import, print_next
from hypernova.cli.streams import print_json
from hypernova.errors import WriteError
from hypernova.paths import check_file, path_label, write_file
from hypernova.prices import PriceList, price_template

if TYPE_CHECKING:
    from hypernova.cli.arguments import Commands
    from hypernova.prices import Price
    from hypernova.table import OutcomeTable

_DESCRIPTION = (
    "Make an outcome table of logs of evaluation tools, which are recognised by their content: "
    "Inspect AI, lm-evaluation-harness, promptfoo, HELM, OpenAI evals, Langfuse and LiteLLM. "
    "Nothing in them is executed."
)


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("import", description=_DESCRIPTION)
    parser.add_argument(
        "logs", nargs="+", metavar="LOGS", help="files and folders, of one tool or several"
    )
    parser.add_argument(
        "-o", "--output", metavar="TABLE", help="the table: a .jsonl file, or else a folder"
    )
    parser.add_argument(
        "--prompt",
        default="auto",
        metavar="KIND",
        help="what the prompt is: auto (default; what the user wrote, as well as the tool tells), "
        "sent (all that the model was sent), user (the user's last message) or field:NAME (a field "
        "of the document)",
    )
    parser.add_argument(
        "--score",
        action="append",
        default=[],
        metavar="NAME|GROUP=NAME",
        help="metric or scorer that counts, of every group or of one (may be repeated)",
    )
    parser.add_argument(
        "--scale",
        nargs=2,
        type=_finite,
        metavar=("LOW", "HIGH"),
        help="the lowest and the highest score, which become 0 and 1",
    )
    parser.add_argument(
        "--choice",
        action="append",
        default=[],
        type=_choice,
        metavar="VALUE=SCORE",
        dest="choices",
        help="score, 0 to 1, of a text that stands for one (may be repeated)",
    )
    parser.add_argument(
        "--prices",
        metavar="FILE",
        help="compute the costs that the logs lack from tokens and these prices: USD per million "
        "tokens by model, .json or .toml; litellm is the map of the LiteLLM that is installed",
    )
    parser.add_argument(
        "--prices-template",
        metavar="FILE",
        help="write a file of prices, .toml or .json, to fill in for the models of the logs",
    )
    parser.add_argument(
        "--rename", metavar="FILE", help="new names of models: an object in .json or .toml"
    )
    parser.add_argument(
        "--skip-broken", action="store_true", help="leave out logs that cannot be read, by name"
    )
    parser.add_argument("--dry-run", action="store_true", help="show the summary, write nothing")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    parser.set_defaults(run=_import)


def _import(arguments: argparse.Namespace) -> None:
    choices = _check_usage(arguments)
    # Whatever may fail comes before the work.
    if arguments.output is not None:
        from hypernova.table.formats.write import check_target

        check_target(arguments.output)
    if arguments.prices_template is not None:
        _check_template(arguments.prices_template)
    prices = None if arguments.prices is None else PriceList.read(arguments.prices)
    rename = {}
    if arguments.rename is not None:
        from hypernova.table.importing.names import read_renames

        rename = read_renames(arguments.rename)

    from hypernova.table import read_logs

    imported = read_logs(
        *arguments.logs,
        prompt=arguments.prompt,
        score=arguments.score,
        scale=None if arguments.scale is None else tuple(arguments.scale),
        choices=choices,
        rename=rename,
        skip_broken=arguments.skip_broken,
        min_models=1,
        progress=sys.stderr.isatty() and find_spec("tqdm") is not None,
    )
    table, costs = imported.table, ImportCosts.of(imported.table)
    if prices is not None:
        table, costs = _priced(table, prices)
    output = None if arguments.dry_run else arguments.output
    if output is not None:
        table.save(output)
    template = arguments.prices_template
    if template is not None:
        _write_template(template, table.models)
    if arguments.json:
        # Paths as in messages: the bytes of a name may be no text.
        written = {
            "table": None if output is None else path_label(output),
            "prices_template": None if template is None else path_label(template),
        }
        print_json(imported.summary.as_dict() | costs.as_dict() | written)
        return
    print_import(imported.summary, costs)
    print_next(table, output, template, dry_run=arguments.dry_run)


def _check_usage(arguments: argparse.Namespace) -> dict[str, float]:
    """Return the score of each choice; options that contradict each other end the process."""
    if arguments.output is None and not arguments.dry_run and arguments.prices_template is None:
        arguments.parser.error(
            "the following arguments are required: -o/--output; --dry-run shows the summary alone"
        )
    if arguments.dry_run and arguments.prices_template is not None:
        arguments.parser.error(
            "--dry-run writes nothing, and --prices-template writes a file; leave one out"
        )
    if arguments.scale is not None and not arguments.scale[0] < arguments.scale[1]:
        low, high = arguments.scale
        arguments.parser.error(f"argument --scale: {low:g} is not below {high:g}; LOW comes first")
    choices: dict[str, float] = {}
    for value, score in arguments.choices:
        if choices.setdefault(value, score) != score:
            arguments.parser.error(f"argument --choice: {value!r} has two scores; give it one")
    return choices


def _priced(table: OutcomeTable, prices: PriceList) -> tuple[OutcomeTable, ImportCosts]:
    """Fill in the costs that are unknown, and count them."""
    listed = {model: prices.named_by(model) for model in table.models}
    found = prices.of_models({*table.models, *filter(None, listed.values())})
    usable: dict[str, Price] = {
        model: found[name] for model, name in listed.items() if name and name in found
    }
    priced = table.with_missing_costs(usable)
    computed = ImportCosts.of(priced).outcomes_with_cost - ImportCosts.of(table).outcomes_with_cost
    unpriced = tuple(model for model in table.models if model not in usable)
    return priced, ImportCosts.of(priced, computed, unpriced)


def _check_template(path: str) -> None:
    if Path(path).suffix.lower() not in (".toml", ".json"):
        raise WriteError(
            f"{path_label(path)}: a file of prices is TOML or JSON; name a .toml or a .json file"
        )
    check_file(path)
    if Path(path).exists():
        raise WriteError(
            f"{path_label(path)}: exists already and is left as it is; remove it or name another "
            "path"
        )


def _write_template(path: str, models: tuple[str, ...]) -> None:
    _check_template(path)  # it may have appeared meanwhile
    write_file(path, price_template(models, toml=path.lower().endswith(".toml")).encode())


def _finite(text: str) -> float:
    number = math.nan
    with suppress(ValueError):
        number = float(text)
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"expected a finite number, got {text!r}")
    return number


def _choice(text: str) -> tuple[str, float]:
    """Read ``VALUE=SCORE``; the value may hold further equals signs."""
    value, equals, score = text.rpartition("=")
    number = math.nan
    with suppress(ValueError):
        number = float(score)
    if not (equals and 0.0 <= number <= 1.0):
        raise argparse.ArgumentTypeError(f"expected VALUE=SCORE with a score, 0 to 1, got {text!r}")
    return value, number
