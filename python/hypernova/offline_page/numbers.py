"""Write single figures for people: signs, dollars, counts, and unknown values.

Not here: the figures of a report, whose decimals depend on the report.
"""

from __future__ import annotations

from hypernova.offline_page.markup import Markup, el, join

MINUS = "\N{MINUS SIGN}"
UNKNOWN = el("span", "unknown", class_="unknown")


def signed(value: float, decimals: int) -> str:
    """Write a number with its sign; one that rounds to zero has none."""
    text = f"{abs(value):.{decimals}f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+") + text


def usd(cost: float | None) -> str:
    """Write dollars with three significant digits, at least cents."""
    if cost is None:
        return "unknown"
    if cost >= 1 or cost == 0:
        return f"${cost:,.2f}"
    digits = 3
    while digits < 9 and round(cost, digits) * 10**digits < 100:
        digits += 1
    return f"${cost:.{digits}f}"


def relative(change: float | None) -> str:
    """Write a relative change in per cent, with its sign."""
    return "unknown" if change is None else signed(100 * change, 1) + "%"


def count(n: float) -> str:
    """Write a number of things, with thousands apart; a weighted one may be fractional."""
    return f"{n:,.0f}" if float(n).is_integer() else f"{n:,.1f}"


def plural(n: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def known(value: str) -> Markup:
    """Set a written figure apart if it is unknown."""
    return UNKNOWN if value == "unknown" else join([value])
