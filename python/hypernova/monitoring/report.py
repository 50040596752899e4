"""The report of monitoring, and its forms for people.

Not here: the fields and their JSON (see ``report_fields``), how a figure is computed (see
``sections``), or the layout of the forms (see ``terminal`` and ``html``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hypernova.monitoring.observations import PAIR_REASONS
from hypernova.monitoring.report_fields import MonitorFields
from hypernova.outcome_log.join import REASONS
from hypernova.paths import escaped, write_file

if TYPE_CHECKING:
    import os


@dataclass(frozen=True, kw_only=True, repr=False)
class MonitorReport(MonitorFields):
    """All figures of monitoring. ``print(report)`` shows the main ones.

    Fields have the names of the JSON that ``hypernova monitor --json`` prints; docs/monitoring.md
    explains each figure. Figures have 6 significant digits, and are None where they are unknown.

    Attributes:
        version: Version of the JSON form.
        hypernova: Version of hypernova that read the log.
        action: ``"keep"``, ``"recalibrate"``, ``"fit_again"``, ``"stop_routing"`` or
            ``"not_enough_outcomes"``.
        verdict: The action and its reason in one sentence.
        advice: What to do about it, in a sentence.
        commands: Commands that do so, ready to paste into a shell; empty where there is none.
        more_outcomes: Number of outcomes that are missing for a verdict; None if there are enough.
        findings: All that is proven to be wrong, the gravest first.
        artifact: The artifact.
        log: Lines of the log, by what became of them.
        levels: How the error level is divided among the tests.
        gain: Gain over the default model.
        estimates: Predicted against observed success, by model and by cluster.
        history: Success over time, of ancestors as well; empty where there are too few outcomes.
        changes: Models whose success changed, and since when.
        novelty: Share of prompts unlike those of training.
        mix: Shares of the clusters against training.
        costs: Cost of each model against its profile; empty where costs are unknown.
        latencies: Latency of each model against its profile; empty where latencies are unknown.
        shadows: Shadow artifacts of the log beside this one; empty without any.
        notes: Limits of the figures, and what is odd about the log.

    Example:
        >>> import hypernova
        >>> report = hypernova.monitor("router.hnv", "outcomes/")  # doctest: +SKIP
        >>> report.action, report.gain.ci  # doctest: +SKIP
        ('keep', Interval(low=0.004, high=0.071))
    """

    REASONS: ClassVar[dict[str, str]] = {**REASONS, **PAIR_REASONS}

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write one page that needs no other file and no network.

        The page appears complete or not at all; if writing fails, a file that stood there
        before is still there. A device or a pipe, such as /dev/stdout, is written to directly.

        Args:
            path: Of the page.

        Raises:
            NotFoundError: The folder does not exist.
            WriteError: The page cannot be written.
        """
        from hypernova.monitoring.html import render

        write_file(path, render(self).encode("utf-8"))

    def __repr__(self) -> str:
        return f"<MonitorReport {self.verdict}>"

    def text(self, *, every: bool = False) -> str:
        """Write the main figures for a terminal, without an end of line.

        Args:
            every: Write all models and clusters; else at most eight of each, those that are off
                first, then those with most outcomes.

        Example:
            >>> print(report.text(every=True))  # doctest: +SKIP
        """
        from hypernova.monitoring.terminal import lines

        # Names of models are free, and this goes to a terminal.
        return "\n".join(escaped(line) for line in lines(self, every=every))

    def __str__(self) -> str:
        return self.text()
