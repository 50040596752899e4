"""Read a thousand logs of evaluation tools, and record seconds and memory.

Not here: whether what is read is right (tests/table). The logs are made of the small real ones in
examples/logs: each sample with an id, a prompt, a score and a place of its own. They were just
written, so they may be read from memory.

    python -m benches.importing [--logs 1000] [--samples 500] [-o benches/record]

A thousand logs of 500 samples take some 3 GB in the system's temporary folder, one tool at a time.
"""

from __future__ import annotations

import argparse
import datetime
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from benches.paths import ROOT
from benches.process_tree import Usage, measured
from benches.record import processor, source_state, write_page

from hypernova.parallel import default_jobs
from hypernova.table.log_files.files import LogFile
from support.archives import write_zip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLES = ROOT / "examples" / "logs"
MODELS = 20
SHORT, LONG = 600, 3_000
# What the issue asks for.
MAX_SECONDS, MAX_BYTES = 60.0, 1 << 30
PROGRAM = """
import sys
from hypernova.table import read_logs

found = read_logs(sys.argv[1], score=sys.argv[2])
summary = found.summary
assert not summary.left_out and all(one.agrees for one in summary.agreement), summary
print(summary.samples, summary.tasks, len(summary.models), len(summary.agreement))
"""


def prompts(n: int, length: int) -> list[str]:
    """Return different prompts of words, so that they pack about as well as prose."""
    draw = random.Random(0)
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 9))) for _ in range(4000)]
    return [" ".join(draw.choices(words, k=length // 6)) for _ in range(n)]


def names(n_logs: int) -> Iterator[tuple[str, str]]:
    """Yield task and model of each log."""
    for log in range(n_logs):
        yield f"benchmark{log // MODELS}", f"maker/model-{log % MODELS}"


def inspect_logs(folder: Path, n_logs: int, n_samples: int, length: int) -> None:
    """Write archives as Inspect AI does; long inputs are thinned in the summaries, as there."""
    example = LogFile(EXAMPLES / "inspect" / "arithmetic-small.eval")

    def entry(name: str) -> Any:
        with example.open_entry(name, 1 << 30) as file:
            return json.load(file)

    header = entry("header.json")
    sample, summary = entry("samples/sum-0_epoch_1.json"), entry("summaries.json")[0]
    texts = prompts(n_samples, length)
    uuid, old = sample["uuid"], sample["input"]
    rendered = []
    for number, text in enumerate(texts):
        own = json.dumps({**sample, "id": f"sum-{number}"}).replace(old, text)
        short = text if length < 1000 else text[:1000] + "..."
        rendered.append((own, json.dumps({**summary, "id": f"sum-{number}", "input": short})))
    for log, (task, model) in enumerate(names(n_logs)):
        header["eval"] = {**header["eval"], "task": task, "model": model}
        n_right = n_samples
        for score in header["results"]["scores"]:
            for metric in score["metrics"].values():
                metric["value"] = n_right / n_samples if metric["name"] == "accuracy" else 0.0
        entries = {"_journal/start.json": json.dumps({"version": 2, "eval": header["eval"]})}
        summaries = []
        for number, (own, short) in enumerate(rendered):
            fresh = f"u{log}-{number}"
            entries[f"samples/sum-{number}_epoch_1.json"] = own.replace(uuid, fresh).replace(
                "mockllm/small", model
            )
            summaries.append(short.replace(uuid, fresh).replace("mockllm/small", model))
        entries["summaries.json"] = f"[{','.join(summaries)}]"
        entries["header.json"] = json.dumps(header)
        packed = {name: content.encode() for name, content in entries.items()}
        write_zip(folder / f"{task}-{log % MODELS}.eval", packed)


def lm_eval_logs(folder: Path, n_logs: int, n_samples: int) -> None:
    """Write a folder for each model as lm-evaluation-harness does: samples beside results."""
    place = EXAMPLES / "lm_eval" / "demo" / "demo__small"
    results = json.loads(next(place.glob("results_*.json")).read_text())
    row = json.loads(next(place.glob("samples_hn_facts_*.jsonl")).read_text().splitlines()[0])
    question = row["doc"]["question"]
    texts = prompts(n_samples, SHORT)
    when = "2026-11-27T20-54-06.759901"
    rows = []
    for number, text in enumerate(texts):
        one = {
            **row,
            "doc_id": number,
            "doc_hash": f"{number:064x}",
            "prompt_hash": f"{number:064x}",
        }
        rows.append(json.dumps({**one, "acc": 1.0, "acc_norm": 1.0}).replace(question, text))
    configs = results["configs"]["hn_facts"]
    by_model: dict[str, list[str]] = {}
    for task, model in names(n_logs):
        by_model.setdefault(model, []).append(task)
    for model, tasks in by_model.items():
        at = folder / model.replace("/", "__")
        at.mkdir()
        for task in tasks:
            lines = "\n".join(one.replace('"doc_hash": "', f'"doc_hash": "{task}') for one in rows)
            (at / f"samples_{task}_{when}.jsonl").write_text(lines + "\n")
        figures = {"acc,none": 1.0, "acc_norm,none": 1.0, "sample_len": n_samples}
        own = {
            **results,
            "model_name": model,
            "results": {task: {"alias": task, **figures} for task in tasks},
            "configs": {task: {**configs, "task": task} for task in tasks},
        }
        own["config"] = {**results["config"], "model": model}
        for key in ("versions", "n-shot", "higher_is_better", "n-samples"):
            if "hn_facts" in results.get(key, {}):
                own[key] = dict.fromkeys(tasks, results[key]["hn_facts"])
        if "n-samples" in own:
            size = {"original": n_samples, "effective": n_samples}
            own["n-samples"] = dict.fromkeys(tasks, size)
        (at / f"results_{when}.json").write_text(json.dumps(own))


def measure(
    write: Callable[[Path], None], metric: str, n_logs: int, n_samples: int
) -> tuple[Usage, int]:
    """Write logs, read them in a process of its own, and check what it says it read."""
    with tempfile.TemporaryDirectory(prefix="hypernova-importing-") as name:
        folder = Path(name) / "logs"
        folder.mkdir()
        begun = time.perf_counter()
        write(folder)
        n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"wrote {n_bytes / 1e6:.0f} MB in {time.perf_counter() - begun:.0f} s", flush=True)
        used = measured([sys.executable, "-c", PROGRAM, str(folder), metric])
    samples, tasks, models, figures = map(int, used.output.split())
    assert samples == n_logs * n_samples, used.output
    assert models == min(MODELS, n_logs), used.output
    assert tasks == -(-n_logs // MODELS) * n_samples, used.output
    assert figures >= n_logs, used.output
    return used, n_bytes


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--logs", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--what", nargs="+", help="some of: inspect, inspect-long, lm-eval")
    parser.add_argument("-o", "--output", type=Path, help="folder for the record")
    args = parser.parse_args()
    kinds: dict[str, tuple[str, str, Callable[[Path], None]]] = {
        "inspect": (
            f"Inspect AI, `.eval`, prompts of {SHORT} characters",
            "match",
            lambda folder: inspect_logs(folder, args.logs, args.samples, SHORT),
        ),
        "inspect-long": (
            f"Inspect AI, `.eval`, prompts of {LONG} characters, which its summaries cut",
            "match",
            lambda folder: inspect_logs(folder, args.logs, args.samples, LONG),
        ),
        "lm-eval": (
            f"lm-evaluation-harness, prompts of {SHORT} characters",
            "acc",
            lambda folder: lm_eval_logs(folder, args.logs, args.samples),
        ),
    }
    commit, changed = source_state()
    lines = [
        f"# Reading {args.logs:,} logs of {args.samples} samples, {datetime.date.today()}, commit "
        f"{commit}",
        "",
        f"{processor()}, {default_jobs()} used, Python {sys.version.split()[0]}; uncommitted "
        f"changes: {changed}. `read_logs(FOLDER, score=...)` in a process of its own, with its "
        "workers: seconds from start to end, and peak memory, where pages that processes share "
        "count once. The logs were just written.",
        "",
        "| logs | MB | seconds | CPU seconds | samples a second | memory MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    missed = False
    for kind in args.what or kinds:
        title, metric, write = kinds[kind]
        used, n_bytes = measure(write, metric, args.logs, args.samples)
        rate = args.logs * args.samples / used.wall_s
        lines.append(
            f"| {title} | {n_bytes / 1e6:,.0f} | {used.wall_s:.1f} | {used.cpu_s:.1f} | "
            f"{rate:,.0f} | {used.memory / 1e6:,.0f} |"
        )
        print(lines[-1], flush=True)
        missed = missed or used.wall_s > MAX_SECONDS or used.memory > MAX_BYTES
    lines += ["", f"Asked for: {MAX_SECONDS:.0f} seconds and 1 GB on two cores."]
    write_page(lines, args.output, commit, "importing")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
