"""A program: deploy the example with Ray Serve, ask it, and write what came of it as JSON.

Not here: the checks (`tests/beside/test_ray_serve.py`). It is a process of its own, so that
neither Ray's threads nor its handlers of signals reach the process of the tests.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import httpx

from hypernova.parallel.on_ray import import_ray
from support.examples import load_example

MESSAGES = [{"role": "user", "content": "Write a SQL query that joins two tables"}]
REQUESTS = 30


class Failing:
    """A model that answers nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, _: list[dict[str, Any]]) -> str:
        raise ConnectionError(f"{self.name} is down")


def mapping(file: Path) -> int:
    """Count the processes that map a file."""
    count = 0
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            count += str(file) in maps.read_text()
        except OSError:  # ended, or another user's
            continue
    return count


def main() -> None:
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    os.environ["RAY_TMPDIR"] = str(folder)
    ray = import_ray()
    from ray import serve

    example = load_example("beside/ray_serve.py")
    ray.init(include_dashboard=False, num_cpus=2, log_to_driver=False, logging_level="ERROR")
    try:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        little = {"num_cpus": 0}
        kinds = dict.fromkeys(names, example.Model) | {names[0]: Failing}
        models = {
            name: serve.deployment(kind, name=name, ray_actor_options=little).bind(name)
            for name, kind in kinds.items()
        }
        chat = serve.deployment(example.Chat, num_replicas=2, ray_actor_options=little)
        files = str(folder / "router.hnv"), str(folder / "outcomes")
        serve.run(chat.bind(*files, models))
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            answers = [client.post("/", json={"messages": MESSAGES}) for _ in range(REQUESTS)]
        found = {
            "answers": [answer.raise_for_status().json() for answer in answers],
            "mapping": mapping(folder / "router.hnv"),
        }
        serve.run(chat.bind(*files, {names[0]: models[names[0]]}))
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            found["none left"] = client.post("/", json={"messages": MESSAGES}).status_code
        (folder / "found.json").write_text(json.dumps(found))
        serve.shutdown()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
