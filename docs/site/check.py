"""Fail if a page of the built site loads anything from elsewhere.

Not here: links that a reader may follow; those lead where they like.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

# Attributes that make a browser load something, by tag.
LOADING = {
    **dict.fromkeys(("script", "img", "iframe", "embed", "source", "audio", "video"), "src"),
    "link": "href",
    "object": "data",
}
ELSEWHERE = re.compile(r"\s*(https?:)?//", re.IGNORECASE)


class Loads(HTMLParser):
    """Collects the addresses on other hosts that a page loads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an address that the tag loads."""
        given = dict(attrs)
        address = given.get(LOADING.get(tag, "")) or ""
        # A canonical address, or one to the next page, is not loaded.
        named = tag == "link" and given.get("rel") in ("canonical", "next", "prev")
        if ELSEWHERE.match(address) and not named:
            self.found.append(f"{tag} {address}")


def main() -> int:
    """Check all pages and stylesheets of a folder, and return the exit code."""
    site = Path(sys.argv[1])
    pages = sorted(site.rglob("*.html"))
    found = [f"{page}: {address}" for page in pages for address in Loads(page).found]
    for sheet in sorted(site.rglob("*.css")):
        text = sheet.read_text(encoding="utf-8")
        addresses = re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s;]+)", text)
        found += [f"{sheet}: {address}" for address in addresses if ELSEWHERE.match(address)]
    print("\n".join(found) or f"{site}: {len(pages)} pages, nothing loaded from elsewhere")
    return 1 if found or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
