"""Serve the page's files: HTML, style and scripts of this package, and nothing from elsewhere.

The files are the same for everyone and hold no figure, so a browser may load them without the
token; every request that the script makes carries it. Not here: the answers to those requests.
"""

from __future__ import annotations

import html
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from fastapi import Response

from hypernova.router.explanation import REASONS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI

# The page loads its own style and scripts and asks its own server, and nothing else: no inline
# script or style, no form that is sent, no frame around it, no HTML made of a string.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_INDEX = "index.html"
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}


def page_files(*, guarded: bool) -> dict[str, tuple[bytes, str]]:
    """Read the page's files.

    Args:
        guarded: Whether the server asks for a token: the page then asks its reader for one.

    Returns:
        By path, the content and its media type.
    """
    found = {}
    for file in files(__package__).joinpath("files").iterdir():
        kind = _TYPES.get(file.name.rpartition(".")[2])
        if kind is not None:
            path = "/" if file.name == _INDEX else f"/page/{file.name}"
            found[path] = (file.read_bytes(), kind)
    index, kind = found["/"]
    # The words of a decision's reasons are those of `hypernova route --explain`.
    reasons = "".join(
        f'<li data-reason="{html.escape(name)}">{html.escape(why)}</li>'
        for name, why in REASONS.items()
    )
    filled = Template(index.decode("utf-8")).substitute(
        token="required" if guarded else "none", reasons=reasons
    )
    found["/"] = (filled.encode("utf-8"), kind)
    return found


def add_page(app: FastAPI, *, guarded: bool) -> frozenset[str]:
    """Add the page's paths to an application.

    Args:
        app: The application.
        guarded: As in `page_files`.

    Returns:
        The paths, which are answered without a token.
    """
    found = page_files(guarded=guarded)
    for path, (content, kind) in found.items():
        app.add_api_route(path, _endpoint(content, kind), include_in_schema=False)
    return frozenset(found)


def _endpoint(content: bytes, kind: str) -> Callable[[], Awaitable[Response]]:
    async def endpoint() -> Response:
        return Response(content, headers=HEADERS, media_type=kind)

    endpoint.__annotations__ = {}  # FastAPI resolves names in the function's module
    return endpoint
