"""Which figure of a page is which of a record.

Where a page changes, or a record has other rows, this is what to edit: each tie is a piece of the
page with `{}` in the place of each figure, and the figures in their order.

Not here: how they are compared (figures.py).
"""

from __future__ import annotations

from release.checks.cells import Figure
from release.checks.figures import Page, Tie


def _verdict(table: str) -> tuple[Figure, ...]:
    """Name the figures of a row of README's first table: `hypernova evaluate`."""
    return (
        *(Figure("verdicts", table, column, "Verdicts") for column in ("router", "best single")),
        *(Figure("verdicts", table, "gain", "Verdicts", place) for place in range(3)),
        Figure("verdicts", table, "group given", "Verdicts"),
    )


def _target(table: str) -> tuple[Figure, ...]:
    """Name the figures of a target: the accuracy kept and the cost saved, with intervals."""
    row, columns = f"{table} / quality=0.98", ("accuracy kept", "cost saved")
    return tuple(
        Figure("verdicts", row, column, "Targets", i) for column in columns for i in range(3)
    )


def _text(row: str) -> tuple[Figure, ...]:
    return Figure("text-versions", row, "before"), Figure("text-versions", row, "now")


def _process(row: str) -> tuple[Figure, ...]:
    # Both columns are headed by a version.
    return Figure("processes", row, 1), Figure("processes", row, 2)


def _split(row: str) -> tuple[Figure, ...]:
    return Figure("routerdc-split", row, "5 test sets"), Figure("routerdc-split", row, "3 other")


def _speed(row: str, library: str = "hypernova") -> Figure:
    return Figure("speed", f"{row} / {library}", "median_ns")


def _whole(tokens: str, embedder: str = "static") -> Figure:
    return _speed(f"text of {tokens}: route, the whole", f"hypernova, {embedder}")


def _of_ten_million(row: str) -> Figure:
    return Figure("scale", row, "10,000,000 tasks")


def _served(row: str) -> Figure:
    return Figure("serve-versions", row, "requests a second", digits=3)


_FRESH = "fresh process: import, open, first decision"
_BEST_PER_TASK = "best model of each task, in hindsight"

README = Page(
    "README.md",
    "",
    (
        *(
            Tie(f"| `{table}` | {{}} | {{}} | {{}} ({{}} to {{}}) | {{}} |", _verdict(table))
            for table in ("swebench_verified", "llmrouter_mixed", "routellm_mmlu")
        ),
        Tie(
            "| `routerbench3` | {} | {} | {} ({} to {}) | {} | route for cost: {}% lower |",
            (
                *_verdict("routerbench3"),
                Figure("verdicts", "routerbench3", "verdict", "Verdicts"),
            ),
        ),
        Tie(
            "on `routerbench3` keeps {}% ({} to {}) of the best single model's accuracy at "
            "{}% ({} to {}) lower cost",
            _target("routerbench3"),
        ),
        Tie(
            "on `swebench_verified` {}% ({} to {}) at {}% ({} to {})", _target("swebench_verified")
        ),
        Tie(
            "Over all cost weights the first lies {} points ({} to {})",
            tuple(Figure("verdicts", "routerbench3", "frontier", "Verdicts", i) for i in range(3)),
        ),
        Tie(
            "| **hypernova** | {} | {} | {} s on two cores, embedding {} s |",
            (
                *_split("hypernova, static"),
                Figure("routerdc-split", "static", "fitting"),
                Figure("routerdc-split", "static", "embedding train"),
            ),
        ),
        Tie(
            "| RouterDC, a trained encoder, as published | {} | {} |",
            _split("RouterDC, as published"),
        ),
        Tie(
            "| best model of each data set, chosen on train, data set known | {} |",
            _split("best model of each data set, chosen on train")[:1],
        ),
        Tie(
            "| best single model, in hindsight | {} | {} |",
            _split("best single model of test, in hindsight"),
        ),
        Tie(f"| {_BEST_PER_TASK} | {{}} | {{}} |", _split(_BEST_PER_TASK)),
        Tie("| text to decision, 16 tokens | {} us | {} us |", _text("route, 16 tokens")),
        Tie("| 200 tokens | {} us | {} us |", _text("route, 200 tokens")),
        Tie("| 1 MB | {} us | {} us |", _text("route, 1 MB")),
        Tie(
            "| each of 6,108 prompts together, one thread / two | {} / {} us | {} / {} us |",
            (
                Figure("text-versions", "route_many, a prompt", "before"),
                Figure("text-versions", "route_many in two threads", "before"),
                Figure("text-versions", "route_many, a prompt", "now"),
                Figure("text-versions", "route_many in two threads", "now"),
            ),
        ),
        Tie(
            "| vector to decision, 100 clusters x 384, 24 models | {} us | {} us |",
            (
                Figure("versions", "decide, 100 x 384", "before"),
                Figure("versions", "decide, 100 x 384", "now"),
            ),
        ),
        Tie(
            "| import, open, first decision in a fresh process | {} ms | {} ms |",
            _process("import, open, first decision, seen from inside"),
        ),
        Tie(
            '| `hypernova route "..."`, the whole command | {} ms | {} ms |',
            _process('hypernova route "..."'),
        ),
        Tie(
            "| resident memory of a process that routes text | {} MiB | {} MiB |",
            _process("Rss of one process"),
        ),
        Tie(
            "requests a second, one process / two workers | {} | {} / {} |",
            (_served("before"), _served("now"), _served("now, 2 workers")),
        ),
        Tie(
            "alone, 16 tokens take {} us and 200 take {}",
            (_whole("16 tokens"), _whole("200 tokens")),
        ),
        Tie(
            "are fitted in {} s with {} MB, and routed at {} a second",
            (
                _of_ten_million("fit: time, s"),
                _of_ten_million("fit: peak memory, MB"),
                _of_ten_million("route: texts a second"),
            ),
        ),
    ),
    (
        r"\d{4}-\d\d-\d\d",
        r"[Cc]ommit [0-9a-f]{7}|at [0-9a-f]{7}",
        r"95% interval",
        r"each of 5 folds",
        r"(?m)^\d\. ",
        r"That is the bundled artifact: 24 models",
        r"Before greetings .* a fifth of the mean",  # an earlier figure
        r"\| \| 0\.1\.0 \| now \|",
        r"in turns, 2 shared cores",
        r"CPython 3\.11, stable Rust 1\.89",
        r"Apache-2\.0|arXiv \d+\.\d+",
    ),
)

PERFORMANCE = Page(
    "docs/performance.md",
    "In short",
    (
        Tie(
            "24 models, 100 x 384 / 16 x 512 | {} / {} us |",
            (_speed("decide 100x384, as fit makes it"), _speed("decide 16x512, as fit makes it")),
        ),
        Tie(
            "25 models, 20 x 384 / 100 x 384 / 1,000 x 1,536 | {} / {} / {} us |",
            (_speed("decide 20x384"), _speed("decide 100x384"), _speed("decide 1000x1536")),
        ),
        Tie(
            "16 / 200 tokens / 1 MB, `static` | {} / {} / {} us |",
            (_whole("16 tokens"), _whole("200 tokens"), _whole("1 MB")),
        ),
        Tie(
            "16 / 200 tokens / 1 MB, `minilm` | {} / {} / {} ms |",
            tuple(_whole(size, "minilm") for size in ("16 tokens", "200 tokens", "1 MB")),
        ),
        Tie(
            "| fresh process to its first decision, `static` / `minilm` | {} / {} ms |",
            (
                _process("import, open, first decision, seen from inside")[1],
                Figure("speed", f"{_FRESH} / hypernova, minilm", "least_ns"),
            ),
        ),
        Tie(
            "the whole command | {} ms |",
            (Figure("processes", 'hypernova route "..."', 2, nth=1),),
        ),
        Tie(
            "resident, its share of eight (Pss) | {}, {} MiB |",
            (_process("Rss of one process")[1], _process("Pss of each of 8")[1]),
        ),
        Tie(
            "| open an artifact of 100 x 384, all checks included | {} us |",
            (_speed("open 100x384"),),
        ),
    ),
    (
        r"\d{4}-\d\d-\d\d",
        r"[Cc]ommits? [0-9a-f]{7}( and [0-9a-f]{7})?",
        r"2 virtual cores of an Intel Xeon with AVX-512 VNNI",
    ),
)

PAGES = (README, PERFORMANCE)
