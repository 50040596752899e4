"""Clusters of the artifact: the heat map of clusters by models, and what each one holds.

Not here: how clusters are described (see ``hypernova.training.clustering.describe``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypernova.evaluation.html.figures import Figures, both_ends, count, plural, usd
from hypernova.evaluation.html.markup import Markup, el, join
from hypernova.evaluation.html.tables import note, scrolled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# More rows or columns than this nobody reads; the JSON has all of them.
SHOWN_MODELS = 40
# Strongest colour of a cell, per cent: text on it stays legible in light and dark.
STRONGEST = 55
REASONS = {
    "routed": "beats the default model here",
    "default_no_evidence": "the default model; nothing is proven to beat it here",
    "default_novel": "the default model; prompts here are unlike the others",
    "constrained": "the first choice was not allowed",
}


def heat_map(report: Mapping[str, Any], figures: Figures) -> Markup:
    """Show each model's shrunk success in each cluster, with n and interval."""
    clusters = report["clusters"]
    heading = el("h2", "Clusters by models")
    if not clusters:
        return el("section", heading, el("p", "No clusters are known.", class_="missing"), id="map")
    names = _models(clusters)
    shown = names[:SHOWN_MODELS]
    cells = [{cell["model"]: cell for cell in cluster["cells"]} for cluster in clusters]
    known = [
        row[model]["success"]
        for row in cells
        for model in shown
        if model in row and row[model]["success"] is not None
    ]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)

    def cell(c: int, model: str) -> Markup:
        taken = clusters[c]["decision"] == model
        return _cell(clusters[c], model, cells[c].get(model), taken, low, high, figures)

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
            "artifact shares among clusters or lifts by the prompt's vector, a prompt's own "
            "estimate differs from its cluster's.",
        ),
        el(
            "p",
            el("span", el("i", class_="swatch picked"), "taken at the cluster's centre"),
            el(
                "span",
                figures.percent(low),
                el("i", class_="ramp"),
                figures.percent(high),
            ),
            class_="legend",
        ),
        scrolled("Clusters by models", table),
        el(
            "p",
            f"{plural(len(names) - len(shown), 'more model')} of lower success, which no cluster "
            "takes: see the JSON.",
            class_="note",
        )
        if len(names) > len(shown)
        else None,
        id="map",
    )


def _models(clusters: Sequence[Mapping[str, Any]]) -> list[str]:
    """Models that some cluster takes, then the others, each by falling mean success."""
    outcomes: dict[str, float] = {}
    total: dict[str, float] = {}
    for cluster in clusters:
        for cell in cluster["cells"]:
            weight = cluster["tasks"] or 1
            outcomes[cell["model"]] = outcomes.get(cell["model"], 0.0) + weight
            success = (cell["success"] or 0.0) * weight
            total[cell["model"]] = total.get(cell["model"], 0.0) + success
    taken = {cluster["decision"] for cluster in clusters}
    return sorted(total, key=lambda model: (model not in taken, -total[model] / outcomes[model]))


def _cluster_head(cluster: Mapping[str, Any], scope: str) -> Markup:
    number = cluster["cluster"]
    return el(
        "th",
        el("a", f"Cluster {number}", href=f"#cluster-{int(number)}"),
        note(plural(cluster["tasks"], "task")),
        note(el("bdi", " ".join(cluster["words"][:2]))) if cluster["words"] else None,
        scope=scope,
    )


def _model_head(model: str, scope: str) -> Markup:
    return el("th", el("bdi", model), scope=scope)


def _cell(
    cluster: Mapping[str, Any],
    model: str,
    cell: Mapping[str, Any] | None,
    taken: bool,
    low: float,
    high: float,
    figures: Figures,
) -> Markup:
    if cell is None or cell["success"] is None:
        return el("td", el("span", "unknown", class_="unknown"))
    interval = figures.interval(cell["ci95"])
    ends = both_ends(cell["ci95"])
    # The title has the decimals; a hundred cells with them would be a wall of digits.
    short = "\N{EN DASH}".join(f"{100 * end:.0f}" for end in ends) if ends else "no interval"
    title = "; ".join(
        [
            f"{model}, cluster {cluster['cluster']}",
            f"success {figures.percent(cell['success'])}",
            f"95% interval {interval or 'unknown'}",
            f"mean {figures.percent(cell['mean'])}" if cell["n"] else "no outcomes",
            f"n {count(cell['n'])}",
            f"cost {usd(cell['cost_usd'])}",
            *(["taken"] if taken else []),
        ]
    )
    share = (cell["success"] - low) / (high - low) if high > low else 0.0
    return el(
        "td",
        el("b", f"{100 * cell['success']:.1f}"),
        el("span", " taken", class_="tag") if taken else None,
        note(f"{short}, n {count(cell['n'])}"),
        class_="picked" if taken else None,
        style=f"--heat:{STRONGEST * share:.0f}%",
        title=title,
    )


def descriptions(report: Mapping[str, Any], figures: Figures) -> Markup:
    """Say what each cluster holds and which model it goes to."""
    clusters = report["clusters"]
    if not clusters:
        return join([])
    return el(
        "section",
        el("h2", "What the clusters hold"),
        el(
            "p",
            "Telling words are more frequent in the cluster than elsewhere. Typical prompts are "
            "the nearest to its centre; first lines only.",
        ),
        el("div", *(_card(cluster, figures) for cluster in clusters), class_="cards"),
        id="clusters",
    )


def _card(cluster: Mapping[str, Any], figures: Figures) -> Markup:
    decision = cluster["decision"]
    cells = {cell["model"]: cell for cell in cluster["cells"]}
    success = cells[decision]["success"] if decision in cells else None
    reason = REASONS.get(cluster["reason"], cluster["reason"])
    return el(
        "article",
        el("h3", f"Cluster {cluster['cluster']}", note(plural(cluster["tasks"], "task"))),
        el(
            "p",
            el("bdi", decision, class_="strong"),
            f" {figures.percent(success)} in-sample" if success is not None else None,
            note(reason),
        ),
        el("ul", *(el("li", el("bdi", word)) for word in cluster["words"]), class_="words")
        if cluster["words"]
        else el("p", "No word sets it apart.", class_="note"),
        el("ul", *(el("li", el("bdi", line)) for line in cluster["prompts"]), class_="prompts")
        if cluster["prompts"]
        else None,
        id=f"cluster-{int(cluster['cluster'])}",
    )
