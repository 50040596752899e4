"""A local server that speaks OpenAI's protocols for text, and fails for models of choice.

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
        too_long: Models for which every prompt is longer than what they read.
        seen: Models in the order in which they were asked.
        bodies: Of the requests, in the same order.
    """

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.too_long: set[str] = set()
        self.seen: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                upstream.seen.append(asked["model"])
                upstream.bodies.append(asked)
                if asked["model"] in upstream.failing:
                    self._send(500, "application/json", b'{"error": {"message": "down"}}')
                elif asked["model"] in upstream.too_long:
                    self._send(400, "application/json", _TOO_LONG)
                elif asked.get("stream"):
                    self._send(200, "text/event-stream", _stream(asked["model"]))
                else:
                    form = _FORMS[self.path]
                    self._send(200, "application/json", json.dumps(form(asked["model"])).encode())

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

    def forget(self) -> None:
        """Forget all requests and failures."""
        self.failing, self.too_long = set(), set()
        self.seen.clear()
        self.bodies.clear()

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
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


def _stream(model: str) -> bytes:
    events = [
        {"delta": {"role": "assistant", "content": f"from {model}"}, "finish_reason": None},
        {"delta": {}, "finish_reason": "stop"},
    ]
    chunks = [
        {
            "id": "x",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
            "choices": [{"index": 0, **event}],
        }
        for event in events
    ]
    return b"".join(b"data: %b\n\n" % json.dumps(c).encode() for c in chunks) + b"data: [DONE]\n\n"
