"""Clusters of the artifact: a heat map of clusters by models, and the contents of each.

Not here: how clusters are described (see ``hypernova.training.clustering.describe``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.offline_page.markup import Markup, el, join, note, scrolled
from hypernova.offline_page.numbers import count, plural, usd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.evaluation.html.number_format import NumberFormat
    from hypernova.evaluation.report_fields import ClusterCell, ClusterFigures, ReportFields

# Nobody reads more rows or columns than this; the JSON has all of them.
MAX_MODELS = 40
# Strongest colour of a cell, per cent: text on it stays legible in light and dark.
STRONGEST = 55
REASONS = {
    "routed": "beats the default model here",
    "default_no_evidence": "the default model; nothing is proven to beat it here",
    "default_novel": "the default model; prompts here are unlike the others",
    "constrained": "the first choice was not allowed",
}


def heat_map(report: ReportFields, numbers: NumberFormat) -> Markup:
    """Show each model's success estimate in each cluster, with its interval and n."""
    clusters = report.clusters
    heading = el("h2", "Clusters by models")
    if not clusters:
        return el("section", heading, el("p", "No clusters are known.", class_="missing"), id="map")
    names = _models(clusters)
    shown = names[:MAX_MODELS]
    cells = [{cell.model: cell for cell in cluster.cells} for cluster in clusters]
    known = [
        success
        for row in cells
        for model in shown
        if model in row and (success := row[model].success) is not None
    ]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)

    def cell(c: int, model: str) -> Markup:
        return _cell(clusters[c], cells[c].get(model), low, high, numbers)

    if len(shown) > len(clusters):
        columns = [_cluster_head(cluster, "col") for cluster in clusters]
        rows = [
            [_model_head(model, "row"), *(cell(c, model) for c in range(len(clusters)))]
            for model in shown
        ]
        corner = "Model"
    else:
        columns = [_model_head(model, "col") for model in shown]
        rows = [
            [_cluster_head(cluster, "row"), *(cell(c, model) for model in shown)]
            for c, cluster in enumerate(clusters)
        ]
        corner = "Cluster"
    table = el(
        "table",
        el("thead", el("tr", el("th", corner, scope="col"), *columns)),
        el("tbody", *(el("tr", *row) for row in rows)),
        class_="heat",
    )
    return el(
        "section",
        heading,
        el(
            "p",
            "Success of each model in each cluster of the artifact that the whole table gives, "
            "shrunk towards the model's overall rate, with its 95% interval and the number of "
            "outcomes n. ",
            el("b", "In-sample"),
            ": these are the rates behind the router's decisions, not a forecast. Where the "
            "artifact blends clusters or adds a linear correction, a prompt's own estimate "
            "differs from its cluster's.",
        ),
        el(
            "p",
            el("span", el("i", class_="swatch picked"), "chosen at the cluster's centre"),
            el(
                "span",
                numbers.percent(low),
                el("i", class_="ramp"),
                numbers.percent(high),
            ),
            class_="legend",
        ),
        scrolled("Clusters by models", table),
        el(
            "p",
            f"{plural(len(names) - len(shown), 'more model')} of lower success, which no cluster "
            "chooses: see the JSON.",
            class_="note",
        )
        if len(names) > len(shown)
        else None,
        id="map",
    )


def _models(clusters: Sequence[ClusterFigures]) -> list[str]:
    """Order models: those that some cluster chooses first, then by falling mean success."""
    outcomes: dict[str, float] = {}
    total: dict[str, float] = {}
    for cluster in clusters:
        weight = cluster.tasks or 1
        for cell in cluster.cells:
            outcomes[cell.model] = outcomes.get(cell.model, 0.0) + weight
            total[cell.model] = total.get(cell.model, 0.0) + (cell.success or 0.0) * weight
    chosen = {cluster.decision for cluster in clusters}
    return sorted(total, key=lambda model: (model not in chosen, -total[model] / outcomes[model]))


def _cluster_head(cluster: ClusterFigures, scope: str) -> Markup:
    return el(
        "th",
        el("a", f"Cluster {cluster.cluster}", href=f"#cluster-{int(cluster.cluster)}"),
        note(plural(cluster.tasks, "task")),
        note(el("bdi", " ".join(cluster.words[:2]))) if cluster.words else None,
        scope=scope,
    )


def _model_head(model: str, scope: str) -> Markup:
    return el("th", el("bdi", model), scope=scope)


def _cell(
    cluster: ClusterFigures,
    cell: ClusterCell | None,
    low: float,
    high: float,
    numbers: NumberFormat,
) -> Markup:
    if cell is None or cell.success is None:
        return el("td", el("span", "unknown", class_="unknown"))
    chosen = cluster.decision == cell.model
    # The title has the decimals; a hundred cells with them would be a wall of digits.
    short = "\N{EN DASH}".join(f"{100 * end:.0f}" for end in cell.ci95 or ()) or "no interval"
    title = "; ".join(
        [
            f"{cell.model}, cluster {cluster.cluster}",
            f"success {numbers.percent(cell.success)}",
            f"95% interval {numbers.interval(cell.ci95) or 'unknown'}",
            f"mean {numbers.percent(cell.mean)}" if cell.n else "no outcomes",
            f"n {count(cell.n)}",
            f"cost {usd(cell.cost_usd)}",
            *(["chosen"] if chosen else []),
        ]
    )
    share = (cell.success - low) / (high - low) if high > low else 0.0
    return el(
        "td",
        el("b", f"{100 * cell.success:.1f}"),
        el("span", " chosen", class_="tag") if chosen else None,
        note(f"{short}, n {count(cell.n)}"),
        class_="picked" if chosen else None,
        style=f"--heat:{STRONGEST * share:.0f}%",
        title=title,
    )


def descriptions(report: ReportFields, numbers: NumberFormat) -> Markup:
    """Show the contents of each cluster, and the model that it chooses."""
    if not report.clusters:
        return join([])
    return el(
        "section",
        el("h2", "Contents of the clusters"),
        el(
            "p",
            "Distinctive words are more frequent in the cluster than elsewhere. Typical prompts "
            "are the nearest to its centre; first lines only.",
        ),
        el("div", *(_card(cluster, numbers) for cluster in report.clusters), class_="cards"),
        id="clusters",
    )


def _card(cluster: ClusterFigures, numbers: NumberFormat) -> Markup:
    success = next((c.success for c in cluster.cells if c.model == cluster.decision), None)
    return el(
        "article",
        el("h3", f"Cluster {cluster.cluster}", note(plural(cluster.tasks, "task"))),
        el(
            "p",
            el("bdi", cluster.decision, class_="strong"),
            f" {numbers.percent(success)} in-sample" if success is not None else None,
            note(REASONS.get(cluster.reason, cluster.reason)),
        ),
        el("ul", *(el("li", el("bdi", word)) for word in cluster.words), class_="words")
        if cluster.words
        else el("p", "No word sets it apart.", class_="note"),
        el("ul", *(el("li", el("bdi", line)) for line in cluster.prompts), class_="prompts")
        if cluster.prompts
        else None,
        id=f"cluster-{int(cluster.cluster)}",
    )
