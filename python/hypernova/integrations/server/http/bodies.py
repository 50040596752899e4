"""Read request bodies, within limits of size and time, and write response bodies.

Not here: the models that bodies are checked against (`schemas`).
"""

from __future__ import annotations

import asyncio
import codecs
import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError
from pydantic_core import to_json
from starlette.requests import ClientDisconnect

from hypernova.integrations.server.http.errors import HttpError, client_closed
from hypernova.integrations.server.http.schemas import RequestBody
from hypernova.strict_json import refuse_constant, unique_keys

if TYPE_CHECKING:
    from fastapi import Request

Body = TypeVar("Body", bound=RequestBody)

# Key in the scope of a request whose body was read to its end.
BODY_READ = "hypernova.read"
# One of these follows each key of a body; texts may hold further ones.
_KEY_ENDS = (b'":', b" :", b"\n:", b"\r:", b"\t:")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TEXT_FIELDS = {"text", "texts", "messages"}
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def body_too_large(max_bytes: int) -> HttpError:
    """Return the error of a body with more than ``max_bytes`` bytes."""
    message = f"the body is larger than {max_bytes} bytes: send less, or raise --max-body-bytes"
    return HttpError(413, "too_large", message)


async def read_body(request: Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """Read the body of a request that must be JSON.

    Args:
        request: The request.
        max_bytes: Largest body that is read.
        timeout_s: Seconds within which the body must arrive.

    Raises:
        HttpError: The body is not declared as JSON, is compressed, is too large or too slow, or the
            client closes the connection before its end.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    # A page in a browser may post any other type to another origin without asking first.
    if kind != "application/json":
        raise HttpError(415, "not_json", "send JSON with 'Content-Type: application/json'")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", ""):
        message = f"Content-Encoding is {coding!r}: send the JSON as it is, not compressed"
        raise HttpError(415, "encoded", message)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise body_too_large(max_bytes)
    except TimeoutError:
        message = f"the body did not arrive within {timeout_s:g} s"
        raise HttpError(408, "slow_body", message) from None
    except ClientDisconnect:
        raise client_closed() from None
    request.scope[BODY_READ] = True
    return bytes(body)


def parse(kind: type[Body], body: bytes) -> Body:
    """Parse and check a body.

    Half a surrogate pair in a prompt is no character: it is read as U+FFFD, as in the embedder.

    Args:
        kind: The model of the body.
        body: JSON in UTF-8.

    Raises:
        HttpError: The body is not JSON or does not fit the model, or a key stands twice in one
            object.
    """
    try:
        found = kind.model_validate_json(body)
        # Counting shows for most bodies that no key stands twice, without parsing again.
        if sum(map(body.count, _KEY_ENDS)) > len(found.model_fields_set):
            _read_json(body)
    except ValidationError as error:
        if _SURROGATE_ESCAPE.search(body) and _is_invalid_json(error):
            return _parse_with_surrogates(kind, body)
        raise _validation_error(error, kind, body) from None
    return found


def _parse_with_surrogates(kind: type[Body], body: bytes) -> Body:
    """Parse a body with halves of surrogate pairs, which pydantic's parser refuses."""
    found = _read_json(body)
    try:
        if isinstance(found, dict):
            for name in _TEXT_FIELDS & found.keys():
                found[name] = _replace_surrogates(found[name])
        # As JSON again, so that pydantic judges it as it does any other body.
        return kind.model_validate_json(json.dumps(found))
    except RecursionError:
        raise HttpError(400, "bad_request", "Invalid JSON: recursion limit exceeded") from None
    except ValidationError as error:
        fault = _validation_error(error, kind, body)
        if _is_invalid_json(error):  # in a line and column of our own JSON
            fault = HttpError(400, "bad_request", fault.message.partition(" at line ")[0])
        raise fault from None


def _read_json(body: bytes) -> Any:
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise HttpError(400, "bad_request", f"Invalid JSON: {error}") from None


def _replace_surrogates(value: Any) -> Any:
    """Return a JSON value with each half of a surrogate pair replaced by U+FFFD."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_replace_surrogates(entry) for entry in value]
    if isinstance(value, dict):
        return {
            _replace_surrogates(name): _replace_surrogates(entry) for name, entry in value.items()
        }
    return value


def _is_invalid_json(error: ValidationError) -> bool:
    return error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid"


def _validation_error(error: ValidationError, kind: type[Body], body: bytes) -> HttpError:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = _place(first["loc"])
    message = f"{place}: {first['msg']}" if place else first["msg"]
    in_messages = "messages" in kind.model_fields and first["loc"][:1] == ("messages",)
    if body.startswith(_BYTE_ORDER_MARKS) or b"\0" in body[:4]:
        message = "Invalid JSON: send UTF-8 without a byte order mark"
    code = "bad_messages" if in_messages else "bad_request"
    return HttpError(400, code, " ".join(message.split()))


def _place(parts: tuple[int | str, ...]) -> str:
    """Return where a value stands in a body, as in ``messages[0].content``."""
    if len(parts) > 2 and parts[-1] == "[key]":
        parts = parts[:-1]  # pydantic's mark of an error in the key itself
    found = ""
    for part in parts:
        if isinstance(part, int):
            found += f"[{part}]"
        elif part.isidentifier():
            found += f".{part}" if found else part
        else:
            quoted = json.dumps(part, ensure_ascii=False)
            found += f"[{quoted}]" if found else quoted
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys, parse_constant=refuse_constant)


def encode(answer: object) -> bytes:
    """Return an answer as JSON in UTF-8."""
    return to_json(answer)
