"""Write logs with the real lm-evaluation-harness: ``python real_lm_eval.py FOLDER [RUN...]``.

Run by the Python that has lm_eval. Each run calls lm_eval's own command line, offline, on tasks of
local files; the models answer from a list of the right answers, sometimes wrongly, or are a chat
server of this process, or lm_eval's `dummy`. The logs of a run lie in FOLDER/RUN; the runs ``demo``
and ``odd`` wrote ``examples/logs/lm_eval``. Not here: the reader of hypernova, and any check.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SUMS = [
    (f"What is {a} plus {b}?", str(a + b))
    for a, b in ((2, 3), (10, 7), (4, 4), (9, 1), (6, 8), (5, 2))
]
SHOTS = [("What is 1 plus 1?", "2"), ("What is 3 plus 3?", "6"), ("What is 20 plus 2?", "22")]
FACTS = [
    ("Which of these is a fruit?", ["stone", "pear", "chair", "cloud"], 1),
    ("Which of these can fly?", ["a bird", "a table", "a river", "a wall"], 0),
    ("Which of these is\n\nthe largest?", ["ant", "cat", "whale", "mouse"], 2),
    ("Which of these is cold?", ["fire", "steam", "lava", "ice"], 3),
    ("Which of these is a metal?", ["iron", "wood", "wool", "paper"], 0),
]
TALES = [
    "The rain fell on the small town all night, and the river rose.",
    "A ship came in at noon.\n\nIts crew was tired but glad.",
    "Nobody had opened the old door for years.",
]
SWITCHES = [
    ("The cup did not fit in the box because the", ["cup", "box"], "was too big.", 0),
    ("Ann thanked Eve because", ["Ann", "Eve"], "had helped.", 1),
    ("The boy could not lift the dog because the", ["boy", "dog"], "was too heavy.", 1),
]

_GENERATION = """\
task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{test: tasks/sums.jsonl, train: tasks/shots.jsonl}}
test_split: test
training_split: train
fewshot_split: train
output_type: generate_until
doc_to_text: {text}
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n"], do_sample: true, temperature: 0.5}}
"""
_EXACT = "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
_CHOICE = """\
task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{test: tasks/facts.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: {text}
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{gold}}}}"
"""
_PLAIN = '"Question: {{question}}\\nAnswer:"'
_FILTERS = r"""filter_list:
  - name: strict-match
    filter: [{function: regex, regex_pattern: "^The answer is (\\d+)$"}, {function: take_first}]
  - name: flexible-extract
    filter: [{function: regex, group_select: -1, regex_pattern: "(\\d+)"}, {function: take_first}]
"""
_VOTES = r"""repeats: 3
filter_list:
  - name: none
    filter: [{function: regex, group_select: -1, regex_pattern: "(\\d+)"}, {function: take_first}]
  - name: majority
    filter:
      - {function: regex, group_select: -1, regex_pattern: "(\\d+)"}
      - {function: majority_vote}
      - {function: take_first}
"""
_FACT_METRICS = """\
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
  - {metric: mcc, aggregation: matthews_corrcoef, higher_is_better: true}
  - {metric: brier_score, aggregation: brier_score, higher_is_better: false}
"""

TASKS = {
    "hn_sums": _GENERATION.format(name="hn_sums", text=_PLAIN) + _EXACT + _FILTERS,
    "hn_votes": _GENERATION.format(name="hn_votes", text=_PLAIN) + _EXACT + _VOTES,
    "hn_described": _GENERATION.format(name="hn_described", text="question")
    + _EXACT
    + 'description: "Add the {{kind}}.\\n\\n"\nfewshot_delimiter: "\\n###\\n"\n'
    + "fewshot_config: {sampler: first_n}\n",
    "hn_function": _GENERATION.format(name="hn_function", text="!function scoring.question")
    + _EXACT,
    "hn_own_scores": _GENERATION.format(name="hn_own_scores", text=_PLAIN)
    + """process_results: !function scoring.scores
metric_list:
  - {metric: right, aggregation: !function scoring.share, higher_is_better: true}
  - {metric: off_by, aggregation: mean, higher_is_better: false}
  - {metric: partial, aggregation: nanmean, higher_is_better: true}
  - {metric: pair, aggregation: !function scoring.share_of_pairs, higher_is_better: true}
  - {metric: sometimes, aggregation: mean, higher_is_better: true}
  - {metric: middle, aggregation: median, higher_is_better: true}
""",
    "hn_facts": _CHOICE.format(name="hn_facts", text=_PLAIN) + _FACT_METRICS,
    "hn_facts_loop": _CHOICE.format(
        name="hn_facts_loop",
        text='"{{question}}\\n{% for choice in choices %}- {{choice}}\\n{% endfor %}Answer:"',
    )
    + _FACT_METRICS
    + "tag: hn_tag\n",
    "hn_switch": """\
task: hn_switch
dataset_path: json
dataset_kwargs:
  data_files: {test: tasks/switches.jsonl}
test_split: test
output_type: multiple_choice
doc_to_text: "{{gold}}"
doc_to_target: end
doc_to_choice: "{{[start ~ ' ' ~ names[0], start ~ ' ' ~ names[1]]}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
""",
    "hn_last_word": """\
task: hn_last_word
dataset_path: json
dataset_kwargs:
  data_files: {test: tasks/tales.jsonl}
test_split: test
output_type: loglikelihood
doc_to_text: "{{text.split(' ')[:-1]|join(' ')}}"
doc_to_target: "{{' ' ~ text.split(' ')[-1]}}"
metric_list:
  - {metric: perplexity, aggregation: perplexity, higher_is_better: false}
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
    "hn_rolling": """\
task: hn_rolling
dataset_path: json
dataset_kwargs:
  data_files: {test: tasks/tales.jsonl}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}
""",
    "hn_group": """\
group: hn_group
task: [hn_sums, hn_facts]
aggregate_metric_list:
  - {metric: acc, filter_list: none, weight_by_size: true}
""",
}

_SCORING = '''\
class Answer:
    """A value that lm_eval writes as text, as it did with NumPy's booleans."""

    def __init__(self, right):
        self.right = right

    def __str__(self):
        return str(self.right)


def question(doc):
    return "Please answer.\\n\\nQ: " + doc["question"].upper().title() + "\\nA:"


def scores(doc, results):
    answer = "".join(letter for letter in results[0] if letter.isdigit())
    gold = int(doc["answer"])
    right = answer == doc["answer"]
    given = {
        "right": Answer(right),
        "off_by": abs(int(answer or 0) - gold) / 100,
        "partial": float("nan") if gold % 2 else float(right),
        "pair": [gold, int(answer or 0)],
        "middle": float(right),
    }
    if gold > 9:
        given["sometimes"] = float(right)
    return given


def share(values):
    return sum(value.right for value in values) / len(values)


def share_of_pairs(pairs):
    return sum(gold == answer for gold, answer in pairs) / len(pairs)
'''

_LOCAL = ["--model", "canned"]
_CHAT = "model=demo/chat,base_url=URL,num_concurrent=1,max_retries=1,tokenized_requests=False"
_SMALL, _LARGE = "model=demo/small,skill=0.5", "model=demo/large,skill=0.8"


def _run(tasks: str, model_args: str = _SMALL, *more: str) -> list[str]:
    return [*_LOCAL, "--model_args", model_args, "--tasks", tasks, *more]


# In the order in which they are made.
RUNS: dict[str, list[list[str]]] = {
    "demo": [
        _run("hn_sums,hn_facts", _SMALL, "--limit", "4"),
        _run("hn_sums,hn_facts", _LARGE, "--limit", "4", "--num_fewshot", "1"),
    ],
    "odd": [
        _run(
            "hn_own_scores,hn_function,hn_switch,hn_last_word",
            _LARGE,
            "--limit",
            "3",
            "--num_fewshot",
            "2",
        ),
        [
            "--model",
            "local-chat-completions",
            "--model_args",
            _CHAT,
            "--tasks",
            "hn_described",
            "--apply_chat_template",
            "--num_fewshot",
            "2",
            "--fewshot_as_multiturn",
            "False",
            "--limit",
            "2",
        ],
    ],
    "shots": [
        _run("hn_sums,hn_facts", _SMALL),
        _run("hn_sums", _LARGE, "--num_fewshot", "2"),
        _run("hn_facts,hn_facts_loop", _LARGE, "--num_fewshot", "2"),
    ],
    "described": [
        _run("hn_described,hn_function", _SMALL, "--num_fewshot", "2"),
        _run("hn_described,hn_function", _LARGE, "--system_instruction", "Be brief."),
        _run(
            "hn_described",
            "model=demo/third,skill=1",
            "--num_fewshot",
            "1",
            "--system_instruction",
            "Be brief.",
        ),
    ],
    "votes": [_run("hn_votes")],
    "own": [_run("hn_own_scores")],
    "choices": [_run("hn_facts,hn_facts_loop,hn_switch")],
    "likelihood": [_run("hn_last_word,hn_rolling")],
    "group": [_run("hn_group,hn_tag", _LARGE)],
    "template": [
        _run(
            "hn_sums,hn_function,hn_facts",
            _SMALL,
            "--num_fewshot",
            "2",
            "--apply_chat_template",
            "--fewshot_as_multiturn",
            multi,
        )
        for multi in ("True", "False")
    ],
    "chat": [
        [
            "--model",
            "local-chat-completions",
            "--model_args",
            _CHAT,
            "--tasks",
            "hn_sums,hn_described",
            "--apply_chat_template",
            "--num_fewshot",
            shots,
            "--fewshot_as_multiturn",
            multi,
        ]
        for shots, multi in (("0", "True"), ("2", "True"), ("2", "False"))
    ],
    "dummy": [["--model", "dummy", "--tasks", "hn_facts,hn_sums"]],
    "only_answers": [_run("hn_sums,hn_facts", _SMALL, "--predict_only")],
    "picked": [_run("hn_sums", _SMALL, "--samples", '{"hn_sums": [1, 4]}')],
    "no_samples": [_run("hn_sums")],
    "one_file": [_run("hn_sums")],
}


def _lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_tasks(folder: Path) -> None:
    """Write the tasks, their documents and their functions."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in TASKS.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    (folder / "scoring.py").write_text(_SCORING, encoding="utf-8")
    for name, sums in (("sums", SUMS), ("shots", SHOTS)):
        _lines(
            folder / f"{name}.jsonl",
            [
                {"question": q, "answer": a, "kind": "numbers", "deep": {"by": ["hand"]}}
                for q, a in sums
            ],
        )
    _lines(
        folder / "facts.jsonl",
        [{"question": q, "choices": choices, "gold": gold} for q, choices, gold in FACTS],
    )
    _lines(folder / "tales.jsonl", [{"text": text} for text in TALES])
    _lines(
        folder / "switches.jsonl",
        [{"start": s, "names": n, "end": e, "gold": g} for s, n, e, g in SWITCHES],
    )


def _chance(*texts: object) -> float:
    digest = hashlib.sha256("\0".join(map(str, texts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def answer(prompt: str, skill: float, attempt: int = 0) -> str:
    """Return the answer to the last sum of a prompt, right with a chance of `skill`."""
    found = [(prompt.lower().rfind(q.lower()), q, a) for q, a in SUMS + SHOTS]
    _, question, right = max(found)
    chance = _chance(question, skill, attempt)
    given = int(right) if chance < skill else int(right) + 1
    return f"The answer is {given}" if chance * 1000 % 1 < 0.7 else f"I think {given}"


class _ChatServer(BaseHTTPRequestHandler):
    """An OpenAI-compatible chat endpoint."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = answer(asked["messages"][-1]["content"], 0.7)
        body = json.dumps({"choices": [{"index": 0, "message": {"content": text}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def _register() -> None:
    import lm_eval.models  # noqa: F401  # its own models are registered first
    from lm_eval.api.model import LM
    from lm_eval.api.registry import register_model

    @register_model("canned")
    class Canned(LM):
        tokenizer_name = "canned"

        def __init__(self, model="demo/none", skill=0.5, **_):
            super().__init__()
            self.name, self.skill = model, float(skill)

        def chat_template(self, chat_template=False):  # noqa: ARG002
            return "{% for m in messages %}<{{m.role}}>{{m.content}}</{{m.role}}>{% endfor %}"

        def apply_chat_template(self, chat_history, add_generation_prompt=True):
            turns = [f"<{m['role']}>{m['content'].strip()}</{m['role']}>" for m in chat_history]
            return "".join(turns) + ("<assistant>" if add_generation_prompt else "")

        def generate_until(self, requests, disable_tqdm=False):  # noqa: ARG002
            return [answer(r.args[0], self.skill, i % 3) for i, r in enumerate(requests)]

        def loglikelihood(self, requests, disable_tqdm=False):  # noqa: ARG002
            right = {choices[gold] for _, choices, gold in FACTS}
            results = []
            for request in requests:
                context, text = request.args
                chance = _chance(context[-60:], text, self.skill)
                good = text.strip() in right and chance < self.skill
                results.append((-1.0 - 3 * chance + 4 * good, good or chance > 0.6))
            return results

        def loglikelihood_rolling(self, requests, disable_tqdm=False):  # noqa: ARG002
            return [-len(r.args[0]) * (0.5 + _chance(r.args[0])) for r in requests]


def main(folder: Path, names: list[str]) -> None:
    """Make the logs of the named runs, or of all."""
    work = Path(tempfile.mkdtemp())
    os.environ.update(
        HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=str(work / "cache"),
        OPENAI_API_KEY="none", LMEVAL_LOG_LEVEL="ERROR", GIT_DIR=str(work / "none"),
    )  # fmt: skip
    folder = folder.resolve()
    # Paths of the tasks stand in the results, so they are relative.
    os.chdir(work)
    write_tasks(Path("tasks"))
    import lm_eval.tasks
    from lm_eval.__main__ import cli_evaluate

    # The command line has no option for it, and its standard errors take minutes.
    lm_eval.simple_evaluate = partial(lm_eval.simple_evaluate, bootstrap_iters=0)
    # Nor for this: it reads the 13,000 tasks of its own in every run, of which none is used here.
    lm_eval.tasks.TaskManager = partial(lm_eval.tasks.TaskManager, include_defaults=False)
    _register()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _ChatServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1/chat/completions"
    for name in names or list(RUNS):
        target = folder / name / "out.json" if name == "one_file" else folder / name
        for arguments in RUNS[name]:
            sys.argv = [
                "lm_eval", "run", *(a.replace("URL", url) for a in arguments),
                "--include_path", "tasks", "--output_path", str(target),
                *(["--log_samples"] if name != "no_samples" else []),
            ]  # fmt: skip
            cli_evaluate()
    server.shutdown()
    shutil.rmtree(work)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
