"""Write the logs in `examples/logs/openai_evals` with the package `evals`, offline.

`oaieval` runs three evals (a match, a fuzzy match and one graded by a model) with OpenAI's chat
completion function against a server in this process, which answers from a table. Needs `evals`
3.0.1.post1 with its imports; run it as ``python tests/tools/make_openai_evals_logs.py FOLDER``.

Not here: reading the logs (`tests/table/sources/test_openai_evals.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

MODELS = ("gpt-3.5-turbo", "gpt-4")
SUMS = [(17, 25), (8, 64), (31, 9), (52, 48), (12, 7), (99, 1), (45, 46), (3, 3)]
CAPITALS = [("Norway", "Oslo"), ("Kenya", "Nairobi"), ("Chile", "Santiago"), ("Nepal", "Kathmandu")]
REGISTRY = """
sums:
  id: sums.dev.v0
  metrics: [accuracy]
sums.dev.v0:
  class: evals.elsuite.basic.match:Match
  args: {samples_jsonl: SUMS}
capitals:
  id: capitals.dev.v0
  metrics: [f1_score]
capitals.dev.v0:
  class: evals.elsuite.basic.fuzzy_match:FuzzyMatch
  args: {samples_jsonl: CAPITALS}
polite:
  id: polite.dev.v0
  metrics: [score]
polite.dev.v0:
  class: evals.elsuite.modelgraded.classify:ModelBasedClassify
  args: {samples_jsonl: POLITE, modelgraded_spec: closedqa, eval_type: classify}
"""


def answer(model: str, text: str) -> str:
    """Return the made-up answer of a model: the smaller one errs on every third task."""
    if "Does the submission meet the criterion" in text:
        return "Y" if "Thank you" in text else "N"
    for at, (left, right) in enumerate(SUMS):
        if f"{left} + {right}" in text:
            return str(left + right + (model == MODELS[0] and at % 3 == 0))
    for at, (country, capital) in enumerate(CAPITALS):
        if country in text:
            return "I do not know" if model == MODELS[0] and at % 3 == 0 else capital
    return "Thank you, that will be done." if model == MODELS[1] or "invoice" in text else "No."


class Upstream(BaseHTTPRequestHandler):
    """Answer chat completions as the API does."""

    def do_POST(self) -> None:
        """Answer one request."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = "\n".join(message["content"] for message in body["messages"])
        said = answer(body["model"], text)
        usage = {"prompt_tokens": len(text.split()), "completion_tokens": len(said.split())}
        usage["total_tokens"] = sum(usage.values())
        message = {"role": "assistant", "content": said}
        payload = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
        }
        raw = json.dumps(payload).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def write_registry(folder: Path) -> None:
    """Write the evals and their samples into a new folder, as a registry."""
    system = {"role": "system", "content": "Answer with the number alone."}
    samples = {
        "SUMS": [
            {
                "input": [system, {"role": "user", "content": f"{left} + {right} ="}],
                "ideal": str(left + right),
            }
            for left, right in SUMS
        ],
        "CAPITALS": [
            {"input": f"Name the capital of {country}.", "ideal": [capital]}
            for country, capital in CAPITALS
        ],
        "POLITE": [
            {"input": f"Ask for the {thing}.", "criteria": "The answer is polite."}
            for thing in ("invoice", "keys", "menu")
        ],
    }
    text = REGISTRY
    (folder / "data").mkdir(parents=True)
    for name, rows in samples.items():
        path = folder / "data" / f"{name.lower()}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        text = text.replace(name, path.name)
    (folder / "evals").mkdir()
    (folder / "evals" / "example.yaml").write_text(text)


def main(target: Path) -> None:
    """Run every eval with every model, and write a log of each into `target`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ |= {
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1",
        "EVALS_SEQUENTIAL": "1",
        "EVALS_SHOW_EVAL_PROGRESS": "",
    }
    from evals.cli import oaieval

    target = target.absolute()
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        # A log names the registry: by a relative path it names no folder of this machine.
        write_registry(Path("registry"))
        for model in MODELS:
            for name in ("sums", "capitals", "polite"):
                record = target / f"{name}_{model}.jsonl"
                words = [model, name, "--registry_path", "registry", "--record_path", str(record)]
                sys.argv = ["oaieval", model, name]  # recorded as well
                oaieval.run(oaieval.get_parser().parse_args(words))
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
