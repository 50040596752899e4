"""A local server that speaks OpenAI's protocols for text, and fails as told, by model.

Not here: a model.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Upstream:
    """A server that answers as the model that a request names.

    Attributes:
        failing: Models that answer 500.
        statuses: Models that answer with another error, by its status.
        silent: Models that do not answer before the server is closed.
        broken: Models whose answer is half of its JSON.
        cut: Models whose stream ends after a part of the text.
        too_long: Models for which every prompt is longer than what they read.
        seen: Models in the order in which they were asked.
        bodies: Of the requests, in the same order.
    """

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.statuses: dict[str, int] = {}
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.cut: set[str] = set()
        self.too_long: set[str] = set()
        self._closed = threading.Event()
        self.seen: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                upstream.seen.append(asked["model"])
                upstream.bodies.append(asked)
                if asked["model"] in upstream.silent:
                    upstream._closed.wait()
                elif asked["model"] in upstream.failing:
                    self._send(500, "application/json", _DOWN)
                elif status := upstream.statuses.get(asked["model"]):
                    self._send(status, "application/json", _DOWN)
                elif asked["model"] in upstream.too_long:
                    self._send(400, "application/json", _TOO_LONG)
                elif asked.get("stream"):
                    self._send(200, "text/event-stream", upstream._stream(asked))
                else:
                    body = json.dumps(_FORMS[self.path](asked["model"])).encode()
                    half = asked["model"] in upstream.broken
                    self._send(200, "application/json", body[: len(body) // 2] if half else body)

            def _send(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _stream(self, asked: dict[str, Any]) -> bytes:
        events = [_event({"delta": {"role": "assistant", "content": f"from {asked['model']}"}})]
        events += [_event({"delta": {}, "finish_reason": "stop"})]
        if asked.get("stream_options", {}).get("include_usage"):
            events += [{**_event(), "usage": _chat("")["usage"]}]
        if asked["model"] in self.cut:
            del events[1:]
        texts = [json.dumps({**event, "model": asked["model"]}) for event in events]
        if asked["model"] in self.broken:
            texts = [texts[0][: len(texts[0]) // 2]]
        elif asked["model"] not in self.cut:
            texts += ["[DONE]"]
        return "".join(f"data: {text}\n\n" for text in texts).encode()

    def forget(self) -> None:
        """Forget all requests and failures."""
        self.failing, self.too_long, self.statuses = set(), set(), {}
        self.silent, self.broken, self.cut = set(), set(), set()
        self.seen.clear()
        self.bodies.clear()

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()


def _chat(model: str) -> dict[str, Any]:
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": f"from {model}"},
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def _prompt(model: str) -> dict[str, Any]:
    choice = {"index": 0, "text": f"from {model}", "finish_reason": "stop", "logprobs": None}
    return {**_chat(model), "object": "text_completion", "choices": [choice]}


def _response(model: str) -> dict[str, Any]:
    content = {"type": "output_text", "text": f"from {model}", "annotations": []}
    message = {"type": "message", "id": "m", "status": "completed", "role": "assistant"}
    return {
        "id": "x",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": model,
        "output": [{**message, "content": [content]}],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
    }


_DOWN = b'{"error": {"message": "down"}}'
_TOO_LONG = json.dumps(
    {
        "error": {
            "message": "This model's maximum context length is 10 tokens.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
    }
).encode()

_FORMS = {
    "/v1/chat/completions": _chat,
    "/v1/completions": _prompt,
    "/v1/responses": _response,
}


def _event(*choices: dict[str, Any]) -> dict[str, Any]:
    """A chunk of a stream."""
    indexed = [{"index": 0, "finish_reason": None, **choice} for choice in choices]
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "choices": indexed}
