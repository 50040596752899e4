"""Options that several commands share, and readers of argument values.

Not here: what a command does with its options.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import TYPE_CHECKING

from hypernova.embedder import DEVICES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from hypernova import Artifact
    from hypernova.prices import Price
    from hypernova.route_options import RouteOptions
    from hypernova.table import OutcomeTable, ScannedTable

    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_device_to(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--device``."""
    parser.add_argument(
        "--device",
        choices=DEVICES,
        default="cpu",
        help="where the embedder runs (default cpu); cuda needs the extra cuda, auto takes cuda "
        "where it works",
    )


def add_embedder_to(parser: argparse.ArgumentParser) -> None:
    """Add the options ``--embedder``, of an artifact that is opened, and ``--device``."""
    parser.add_argument(
        "--embedder", metavar="DIR", help="the artifact's embedder, if it is not bundled"
    )
    add_device_to(parser)


def add_outcome_logs_to(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``LOG``."""
    parser.add_argument(
        "logs",
        nargs="+",
        metavar="LOG",
        help="an outcome log: a folder of segments, or one segment",
    )


def add_cluster_prompts_to(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--cluster-prompts``."""
    parser.add_argument(
        "--cluster-prompts",
        metavar="PROMPTS",
        help="fit the clusters on these unlabelled prompts: .txt, .jsonl, .csv, .parquet, folder",
    )


def read_cluster_prompts(arguments: argparse.Namespace) -> Sequence[str] | None:
    """Return the prompts that ``--cluster-prompts`` names, or None without the option."""
    from hypernova.table import read_prompts

    return None if arguments.cluster_prompts is None else read_prompts(arguments.cluster_prompts)


def add_unseen_to(parser: argparse.ArgumentParser) -> None:
    """Add the option for the share of prompts of kinds that the table lacks."""
    parser.add_argument(
        "--unseen",
        type=float,
        default=0.1,
        metavar="P",
        help="share of prompts, 0 to 1, that are expected to be of kinds that the table lacks "
        "(default 0.1)",
    )


def add_skip_shared_to(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--skip-shared``."""
    parser.add_argument(
        "--skip-shared",
        action="store_true",
        help="leave out beginnings and ends that many prompts share, here and in every request",
    )


def add_scale_to(parser: argparse.ArgumentParser) -> None:
    """Add the options ``--scan``, ``--vectors``, ``--engine`` and ``--jobs``."""
    parser.add_argument(
        "--scan",
        action="store_true",
        help="read DATA in pieces: a table that memory does not hold, also a folder of files",
    )
    parser.add_argument(
        "--vectors",
        metavar="DIR",
        help="keep the prompts' vectors in DIR, for the next run on the same prompts",
    )
    add_engine_to(parser)


def add_engine_to(parser: argparse.ArgumentParser) -> None:
    """Add the options ``--engine`` and ``--jobs``."""
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="processes of this machine (default), or a Ray cluster (extra ray)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="processes at a time",
    )


def add_route_options_to(parser: argparse.ArgumentParser) -> None:
    """Add the limits and weights of a request, its prices and its group."""
    parser.add_argument("--cost-weight", type=float, metavar="X", help="success per USD")
    parser.add_argument("--latency-weight", type=float, metavar="X", help="success per second")
    parser.add_argument(
        "--max-cost-usd", type=float, metavar="USD", help="inf lifts the artifact's own limit"
    )
    parser.add_argument(
        "--min-success", type=float, metavar="P", help="leave out models with a lower estimate"
    )
    parser.add_argument("--allow", nargs="+", action="extend", metavar="M", help="only these")
    parser.add_argument("--deny", nargs="+", action="extend", metavar="M", help="leave these out")
    parser.add_argument(
        "--price",
        nargs="+",
        action="extend",
        type=model_price,
        metavar="M=USD[,USD]",
        dest="prices",
        help="USD of a task by model, or of a million input and of a million output tokens",
    )
    parser.add_argument(
        "--prices",
        metavar="FILE",
        dest="price_file",
        help="prices by model, .json or .toml, also LiteLLM's map; --price goes before them",
    )
    parser.add_argument("--group", metavar="G", help="group of the prompt, one of the artifact's")
    parser.add_argument(
        "--on-novel",
        choices=("default", "best_overall", "error"),
        help="what a novel prompt gets (default: the default model)",
    )


def route_options(arguments: argparse.Namespace, prices: dict[str, Price]) -> RouteOptions:
    """Return the options of `add_route_options_to`.

    Args:
        arguments: The parsed arguments.
        prices: Of the file that ``--prices`` names; ``--price`` goes before them.
    """
    return {
        "cost_weight": arguments.cost_weight,
        "latency_weight": arguments.latency_weight,
        "max_cost_usd": arguments.max_cost_usd,
        "min_success": arguments.min_success,
        "allow": arguments.allow,
        "deny": arguments.deny,
        "prices": {**prices, **dict(arguments.prices or ())} or None,
        "on_novel": arguments.on_novel,
        "group": arguments.group,
    }


def add_prices_to(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--prices``."""
    parser.add_argument(
        "--prices",
        metavar="FILE",
        help="compute costs from tokens and these prices: USD per million tokens by model, .json "
        "or .toml, also LiteLLM's map; litellm is the map of the LiteLLM that is installed",
    )


def prices_of(artifact: Artifact, path: str) -> dict[str, Price]:
    """Read the prices of a file that an artifact can use; a line on standard error names others."""
    import hypernova
    from hypernova.artifact.usable_prices import usable_prices

    found = usable_prices(artifact, hypernova.read_prices(path, models=artifact.models))
    if found.without_tokens:
        print(
            f"{path}: the artifact does not know tokens of models whose costs stay those of the "
            f"table: {', '.join(found.without_tokens)}",
            file=sys.stderr,
        )
    return found.prices


def read_outcomes(arguments: argparse.Namespace) -> OutcomeTable | ScannedTable:
    """Read the table that ``DATA`` names, or scan it under ``--scan``, priced by ``--prices``."""
    import hypernova

    read = hypernova.OutcomeTable.scan if arguments.scan else hypernova.OutcomeTable.read
    table: OutcomeTable | ScannedTable = read(arguments.data)
    prices = None
    if arguments.prices is not None:
        prices = hypernova.read_prices(arguments.prices, models=table.models)
        computed = table.count_priced(prices)
    # After whatever may fail, which is one line on standard error.
    if table.repeats.outcomes:
        print(
            f"{table.repeats.outcomes:,} of {table.n_outcomes:,} outcomes are means of up to "
            f"{table.repeats.largest:,} of one model on one task, {table.repeats.total:,} in all",
            file=sys.stderr,
        )
    if prices is None:
        return table
    print(
        f"computed the cost of {computed:,} of {table.n_outcomes:,} outcomes, "
        f"with prices of {len(prices):,} of {table.n_models:,} models",
        file=sys.stderr,
    )
    return table.priced(prices)


def cluster_count(text: str) -> int | str:
    """Read a number of clusters, or ``auto``."""
    if text == "auto":
        return text
    count = _whole_number(text)
    if count is None or count < 1:
        raise argparse.ArgumentTypeError(f"expected auto or a whole number from 1, got {text!r}")
    return count


def positive_int(text: str) -> int:
    """Read a whole number from 1."""
    number = _whole_number(text)
    if number is None or number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return number


def port_number(text: str) -> int:
    """Read a port, 0 to 65535."""
    number = _whole_number(text)
    if number is None or number > 65535:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, got {text!r}")
    return number


def _number_reader(expected: str, fits: Callable[[float], bool]) -> Callable[[str], float]:
    """Make a reader of numbers in a range.

    Args:
        expected: The range in words, for the message.
        fits: Whether a number lies in it; NaN, which stands for no number, does not.
    """

    def read(text: str) -> float:
        number = _number(text)
        if not fits(number):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return number

    return read


seconds = _number_reader("seconds, above 0 and up to 3600", lambda x: 0.0 < x <= 3600.0)
seconds_or_none = _number_reader("seconds from 0 to 3600", lambda x: 0.0 <= x <= 3600.0)
percentage_points = _number_reader("percentage points from 0 to 100", lambda x: 0.0 <= x <= 100.0)
days_number = _number_reader("days, above 0", lambda x: 0.0 < x < math.inf)
share = _number_reader("a share from 0 to 1", lambda x: 0.0 <= x <= 1.0)
error_level = _number_reader("a number above 0 and below 1", lambda x: 0.0 < x < 1.0)


def model_price(text: str) -> tuple[str, float | tuple[float, float]]:
    """Read ``MODEL=USD`` or ``MODEL=USD,USD``; the name may hold further equals signs."""
    model, _, price = text.rpartition("=")
    try:
        if model:
            numbers = tuple(float(number) for number in price.split(","))
            if len(numbers) == 1:
                return model, numbers[0]
            if len(numbers) == 2:
                return model, (numbers[0], numbers[1])
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        f"expected MODEL=USD of a task, or MODEL=USD,USD of a million input and of a million "
        f"output tokens, got {text!r}"
    )


def _whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
