"""`ArtifactDiff`: the figures of a comparison, and their text for a terminal.

Not here: how the figures are counted (see ``tally``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypernova.comparison.result import DiffFigures
from hypernova.paths import escaped

if TYPE_CHECKING:
    from hypernova.comparison.compatibility import Compatibility, NameChanges
    from hypernova.comparison.result import (
        ArtifactName,
        ChosenModel,
        KindChange,
        MeanChange,
        ModelMove,
        View,
    )

# Rows of a table, and characters of a name, that are shown.
_MAX_ROWS, _MAX_NAME, _MAX_WORDS = 10, 40, 6
_NO_MODEL = "(no decision)"
_SOURCES = {
    "old": "the old artifact's estimates",
    "new": "the new artifact's estimates",
    "measured": "outcomes of the table",
    "logged": "outcomes of the log",
}
_BASES = {
    "prompts": "prompts, decided by both",
    "shadow": "logged decisions, with the new artifact as their shadow",
    "traffic": "logged decisions, by the centre of their cluster",
    "training": "training tasks of the old artifact, by the centre of their cluster",
}
_PLACES = {
    "same": "the same embedder",
    "bundled": "another embedder, which is bundled",
    "given": "another embedder, which was given",
    "missing": "another embedder, which is not at hand",
}


@dataclass(frozen=True)
class ArtifactDiff(DiffFigures):
    """The changes that a new artifact would bring: decisions, success, cost, compatibility.

    ``str`` gives it in words.

    Example:
        >>> import hypernova
        >>> artifact = hypernova.Router.open().artifact
        >>> found = hypernova.diff(artifact, artifact.replace(cost_weight=0.5))
        >>> found.compatibility.policy
        {'cost_weight': (0.0, 0.5)}
        >>> found.exceeds(0.2)
        True
    """

    def text(self) -> str:
        """Return the result in words, without an end of line.

        Example:
            >>> import hypernova
            >>> artifact = hypernova.Router.open().artifact
            >>> print(hypernova.diff(artifact, artifact).text().splitlines()[0])
            the same artifact twice: no decision changes
        """
        return "\n".join(_lines(self))

    def __str__(self) -> str:
        return self.text()


def _lines(diff: DiffFigures) -> list[str]:
    lines = [_headline(diff), "", *_names(diff.old, diff.new)]
    lines += ["", *_compatibility(diff.compatibility, same=diff.same_artifact)]
    if diff.n_decisions:
        if diff.moves:
            lines += ["", "from which model to which", *_moves(diff.moves)]
        lines += ["", "decisions", *_models(diff.models, diff.n_decisions)]
        several = len(diff.moves) > 1
        changed = [kind for kind in diff.clusters if kind.changed]
        if changed:
            lines += ["", "kinds of prompt with most changes", *_kinds(changed, with_moves=several)]
        groups = [kind for kind in diff.groups if kind.changed]
        if groups:
            lines += ["", "groups with most changes", *_kinds(groups, with_moves=several)]
        if diff.moves:
            lines += ["", "expected change, a decision", *_views(diff.views)]
    if diff.notes:
        lines += ["", *(f"note: {note}" for note in diff.notes)]
    return lines


def _headline(diff: DiffFigures) -> str:
    if diff.same_artifact:
        return "the same artifact twice: no decision changes"
    state = "compatible" if diff.compatibility.compatible else "NOT compatible"
    share = diff.share_changed
    if share is None or diff.basis is None:
        return f"{state}; it cannot be told how many decisions change"
    return (
        f"{_percent(share)} of decisions change ({_count(diff.n_changed)} of "
        f"{_count(diff.n_decisions)} {_BASES[diff.basis]}); {state}"
    )


def _names(old: ArtifactName, new: ArtifactName) -> list[str]:
    return [
        f"{label}  {artifact.sha256[:12]}  {escaped(artifact.path or '(in memory)')}"
        for label, artifact in (("old", old), ("new", new))
    ]


def _compatibility(found: Compatibility, *, same: bool) -> list[str]:
    if same:
        return ["models, groups, policy and embedder are the same"]
    lines = [f"NOT compatible: {escaped(problem)}" for problem in found.problems]
    if found.reloads:
        lines.append("a running router takes it by a reload")
    embedder = found.embedders[0]
    if found.embedder != "same":
        embedder += f" -> {found.embedders[1]}"
    lines.append(f"embedder       {_PLACES[found.embedder]}: {escaped(embedder)}")
    lines.append(f"models         {_name_changes(found.models)}")
    if found.groups.added or found.groups.removed or found.groups.kept:
        lines.append(f"groups         {_name_changes(found.groups)}")
    before, after = (_name(name) for name in found.default_models)
    changes = found.default_models[0] != found.default_models[1]
    lines.append(f"default model  {f'{before} -> {after}' if changes else f'{before}, as before'}")
    for name, (old, new) in found.policy.items():
        lines.append(f"{name:<14} {_value(old)} -> {_value(new)}")
    if found.versions[0] != found.versions[1]:
        old, new = (".".join(map(str, version)) for version in found.versions)
        lines.append(f"file format    {old} -> {new}")
    return lines


def _name_changes(names: NameChanges) -> str:
    parts = [f"{len(names.kept)} kept"]
    for word, some in (("added", names.added), ("removed", names.removed)):
        if some:
            shown = ", ".join(_name(name) for name in some[:_MAX_ROWS])
            more = f" and {len(some) - _MAX_ROWS} more" if len(some) > _MAX_ROWS else ""
            parts.append(f"{len(some)} {word}: {shown}{more}")
    return "; ".join(parts)


def _moves(moves: tuple[ModelMove, ...]) -> list[str]:
    lines = [f"{'decisions':>11}  {'share':>6}  {'success by':>10}  {'':>10}  {'cost by':>10}"]
    lines.append(f"{'':11}  {'':6}  {'old':>10}  {'new':>10}  {'new':>10}")
    for move in moves[:_MAX_ROWS]:
        by = {view.source: view for view in move.views}
        cells = [
            _points(by["old"].success),
            _points(by["new"].success),
            _dollars(by["new"].cost_usd),
        ]
        lines.append(
            f"{_count(move.n):>11}  {_percent(move.share):>6}  "
            + "  ".join(f"{cell:>10}" for cell in cells)
            + f"  {_model(move.old)} -> {_model(move.new)}"
        )
    return _with_more(lines, len(moves))


def _models(models: tuple[ChosenModel, ...], n: float) -> list[str]:
    lines = [f"{'old':>11}  {'new':>11}"]
    lines += [
        f"{_percent(one.old / n):>11}  {_percent(one.new / n):>11}  {_name(one.model)}"
        for one in models[:_MAX_ROWS]
    ]
    return _with_more(lines, len(models))


def _kinds(kinds: list[KindChange], *, with_moves: bool) -> list[str]:
    lines = [f"{'decisions':>11}  {'changed':>7}"]
    for kind in kinds[:_MAX_ROWS]:
        if kind.group is not None:
            name = _name(kind.group)
        elif kind.cluster is None:
            name = "novel prompts"
        else:
            words = " ".join(escaped(word) for word in kind.words[:_MAX_WORDS])
            name = f"cluster {kind.cluster}{': ' * bool(words)}{words}"
        lines.append(f"{_count(kind.n):>11}  {_percent(kind.share):>7}  {name}")
        if with_moves:
            lines.append(f"{'':22}most often {_model(kind.old)} -> {_model(kind.new)}")
    return _with_more(lines, len(kinds))


def _views(views: tuple[View, ...]) -> list[str]:
    lines = []
    for view in views:
        parts = []
        if view.success is not None:
            parts.append(f"success {_mean(view.success)}")
        if view.cost_usd is not None:
            parts.append(f"cost ${_money(view.cost_usd)}")
        if view.latency_s is not None:
            parts.append(f"latency {_seconds(view.latency_s)}")
        lines.append(f"  by {_SOURCES[view.source]}: {'; '.join(parts) or 'unknown'}")
    return lines


def _mean(change: MeanChange) -> str:
    interval = ""
    if change.interval is not None:
        low, high = (_signed(100 * end) for end in change.interval)
        interval = f", 95% interval {low} to {high}"
    return (
        f"{100 * change.before:.1f}% -> {100 * change.after:.1f}% "
        f"({_signed(100 * change.change)} points{interval}){_of(change)}"
    )


def _money(change: MeanChange) -> str:
    return f"{change.before:.4g} -> ${change.after:.4g}{_relative(change)}{_of(change)}"


def _seconds(change: MeanChange) -> str:
    return f"{change.before:.3g} s -> {change.after:.3g} s{_relative(change)}{_of(change)}"


def _relative(change: MeanChange) -> str:
    if change.before <= 0.0:
        return ""
    return f" ({_signed(100 * change.change / change.before)}%)"


def _signed(number: float) -> str:
    """Write a number with its sign; what rounds to 0 has none."""
    text = f"{number:+.1f}"
    return "0.0" if float(text) == 0.0 else text


def _of(change: MeanChange) -> str:
    return "" if change.share > 0.9995 else f", known for {_percent(change.share)}"


def _points(change: MeanChange | None) -> str:
    return "-" if change is None else _signed(100 * change.change)


def _dollars(change: MeanChange | None) -> str:
    if change is None:
        return "-"
    return f"{'-' if change.change < 0 else '+'}${abs(change.change):.3g}"


def _with_more(lines: list[str], n: int) -> list[str]:
    return [*lines, f"  and {n - _MAX_ROWS} more (--json)"] if n > _MAX_ROWS else lines


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _count(n: float) -> str:
    return f"{n:,.0f}"


def _value(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _model(name: str | None) -> str:
    return _NO_MODEL if name is None else _name(name)


def _name(name: str) -> str:
    shown = escaped(name)
    return shown if len(shown) <= _MAX_NAME else f"{shown[: _MAX_NAME - 3]}..."
