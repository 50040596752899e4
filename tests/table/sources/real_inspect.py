"""Write logs with the real Inspect AI, and beside them its own reading of each.

Run by the Python that has Inspect AI: ``python real_inspect.py FOLDER``. It needs no network: the
models are ``mockllm``'s. ``FOLDER/truth.json`` holds, by file name, the samples as `read_eval_log`
returns them. With ``--examples`` it writes the small logs of ``examples/logs/inspect`` instead.
Not here: the reader of hypernova, and any check.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from inspect_ai import Epochs, Task, eval_set
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.log import (
    ProvenanceData,
    edit_score,
    invalidate_samples,
    read_eval_log,
    write_eval_log,
)
from inspect_ai.log._recorders.chunked.convert import convert_eval_logs_to_chunked
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    ContentImage,
    ContentText,
    Model,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.scorer import (
    CORRECT,
    INCORRECT,
    NOANSWER,
    PARTIAL,
    Score,
    ScoreEdit,
    Target,
    accuracy,
    choice,
    includes,
    match,
    mean,
    model_graded_qa,
    scorer,
    stderr,
)
from inspect_ai.solver import (
    Generate,
    TaskState,
    generate,
    multiple_choice,
    prompt_template,
    solver,
    system_message,
)

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9Q"
    "DwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
LONG = "This sentence is repeated until the summary of the log is cut.\n" * 100


def scripted(model: str, *answers: str, cost: float | None = 0.0002) -> Model:
    """Return a model that gives these answers in turn, each with its usage."""
    outputs = []
    for answer in answers:
        output = ModelOutput.from_content(f"mockllm/{model}", answer)
        output.usage = ModelUsage(
            input_tokens=12, output_tokens=3, total_tokens=15, total_cost=cost
        )
        outputs.append(output)
    return get_model(f"mockllm/{model}", custom_outputs=outputs, memoize=False)


@scorer(metrics={"exact": [accuracy(), mean(), stderr()], "length": [mean()]})
def two():
    """Score the answer by two keys of one value."""

    async def score(state: TaskState, target: Target) -> Score:
        answer = state.output.completion
        return Score(value={"exact": answer == target.text, "length": len(answer) / 10})

    return score


@scorer(metrics=[accuracy(), stderr()])
def given():
    """Score the answer as the metadata says: letters, numbers, truths, lists or nothing."""

    async def score(state: TaskState, target: Target) -> Score | None:
        del target
        value = state.metadata["score"]
        if value == "raise":
            raise ValueError("the scorer failed")
        if value == "none":
            return None
        if value == "nan":
            return Score.unscored(reason="no_response", explanation="nothing to score")
        return Score(value=value, answer=state.output.completion)

    return score


@solver
def failing():
    """Fail on the samples whose metadata says so."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if state.metadata.get("fail"):
            raise RuntimeError("the sandbox is gone")
        return await generate(state)

    return solve


@solver
def asks_another():
    """Ask a second model, and the judge of a role, before the one under test."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        await scripted("helper", "no idea", cost=0.5).generate("A hint, please.")
        await get_model(role="critic").generate("Is it right?")
        return await generate(state)

    return solve


def arithmetic(name: str = "arithmetic") -> Task:
    """Return sums, whose template and system message are solvers."""
    return Task(
        name=name,
        dataset=[
            Sample(
                id=f"sum-{i}",
                input=f"What is {i} + {i}?",
                target=str(2 * i),
                metadata={"subject": "sums", "spaced": f"Add {i}  to\n{i}."},
            )
            for i in range(4)
        ],
        solver=[
            system_message("Answer with a number."),
            prompt_template("Question: {prompt}\nAnswer:"),
            generate(),
        ],
        scorer=match(),
    )


def make(folder: Path) -> dict[str, list[str]]:
    """Write the logs of each kind, and return their names."""
    made: dict[str, list[str]] = {}

    def run(kind: str, task: Task, model: Model, **options) -> Path:
        options.setdefault("log_format", "eval")
        log = evaluate(task, model=model, log_dir=str(folder), display="none", **options)[0]
        path = Path(log.location)
        target = folder / f"{kind}{path.suffix}"
        path.rename(target)
        made.setdefault(kind, []).append(target.name)
        return target

    run("plain", arithmetic(), scripted("small", "0", "2", "5", "6"))
    run("plain-json", arithmetic(), scripted("large", "0", "2", "4", "7"), log_format="json")
    run(
        "epochs",
        arithmetic("repeated"),
        scripted("small", *"024602040046"),
        epochs=Epochs(3, ["mean", "pass_at_2"]),
    )
    run(
        "mode",
        arithmetic("repeated"),
        scripted("large", *"024602040046"),
        epochs=Epochs(3, "mode"),
    )
    run(
        "choices",
        Task(
            name="capitals",
            dataset=[
                Sample(input="Which is a capital?", choices=["Paris", "Lyon"], target="A"),
                Sample(input="Which is a capital?", choices=["Bonn", "Berlin"], target="B"),
            ],
            solver=multiple_choice(),
            scorer=choice(),
        ),
        scripted("small", "ANSWER: A", "ANSWER: A"),
    )
    several = Task(
        name="several",
        dataset=arithmetic().dataset,
        solver=generate(),
        scorer=[match(), includes(), includes(ignore_case=False), two()],
    )
    run("several", several, scripted("small", "0", "it is 2", "5", "6"))
    run(
        "graded",
        Task(
            name="graded",
            dataset=arithmetic().dataset,
            solver=generate(),
            scorer=model_graded_qa(partial_credit=True),
        ),
        scripted("small", "0", "2", "5", "6"),
        model_roles={"grader": scripted("judge", *(f"GRADE: {g}" for g in "CPIC"), cost=0.01)},
    )
    values = [CORRECT, INCORRECT, PARTIAL, NOANSWER, 0.25, 1, True, False, "nan", "none"]
    run(
        "values",
        Task(
            name="values",
            dataset=[
                Sample(id=n, input=f"Value {n}", target="x", metadata={"score": value})
                for n, value in enumerate(values, 1)
            ],
            solver=generate(),
            scorer=given(),
        ),
        scripted("small", *"abcdefghijk"),
    )
    run(
        "list",
        Task(
            name="list",
            dataset=[Sample(input="A list", target="x", metadata={"score": [1, 0]})],
            solver=generate(),
            scorer=[match(), given()],
        ),
        scripted("small", "a"),
    )
    run(
        "errors",
        Task(
            name="errors",
            dataset=[
                Sample(id="good", input="Good", target="a", metadata={"score": 1}),
                Sample(id="bad", input="Bad", target="a", metadata={"score": 1, "fail": True}),
                Sample(id="unscorable", input="Odd", target="a", metadata={"score": "raise"}),
            ],
            solver=failing(),
            scorer=[match(), given()],
        ),
        scripted("small", *"aaaa"),
        fail_on_error=False,
    )
    run(
        "limit",
        arithmetic("limited"),
        scripted("small", *"0246"),
        token_limit=10,
        log_format="eval",
    )
    run(
        "roles",
        Task(
            name="roles",
            dataset=arithmetic().dataset,
            solver=asks_another(),
            scorer=match(),
        ),
        scripted("small", *"0246"),
        model_roles={"critic": scripted("small", *(["yes"] * 4), cost=0.03)},
    )
    image = ContentImage(image=PIXEL)
    run(
        "messages",
        Task(
            name="messages",
            dataset=[
                Sample(
                    id="turns",
                    input=[
                        ChatMessageSystem(content="Be kind."),
                        ChatMessageUser(content="My name is Ada."),
                        ChatMessageAssistant(content="Hello Ada."),
                        ChatMessageUser(content="What is my name?"),
                    ],
                    target="Ada",
                ),
                Sample(
                    id="image/1",
                    input=[ChatMessageUser(content=[ContentText(text="What is it?"), image])],
                    target="a dot",
                ),
                Sample(
                    id="image/2",
                    input=[
                        ChatMessageUser(
                            content=[
                                ContentText(text="What is it?"),
                                ContentImage(image=PIXEL.replace("Wj", "Xk")),
                            ]
                        )
                    ],
                    target="a dot",
                ),
                Sample(id="only", input=[ChatMessageUser(content=[image])], target="a dot"),
                Sample(id="long", input=LONG + "Which sentence is it?", target="this"),
                Sample(id="longer", input=LONG + "Which one?", target="this"),
                Sample(
                    id="long-turn",
                    input=[ChatMessageUser(content=LONG + "And which is this?")],
                    target="this",
                ),
                Sample(
                    id="looks-thin",
                    input=[ChatMessageUser(content=[ContentText(text="(Image)")])],
                    target="this",
                ),
                Sample(
                    id="looks-attached",
                    input=[ChatMessageUser(content="attachment://0123 is no picture")],
                    target="this",
                ),
                Sample(id="../../escape", input="A path", target="x"),
                Sample(id="", input="No id", target="x"),
            ],
            solver=[system_message("You see."), generate()],
            scorer=includes(),
        ),
        scripted("small", *["It is Ada, a dot"] * 22),
        epochs=2,
    )
    run("cache-free", arithmetic(), scripted("free", *"0246", cost=None))
    run("no-samples", arithmetic("unlogged"), scripted("small", *"0246"), log_samples=False)
    run(
        "failed",
        Task(
            name="errors",
            dataset=[
                Sample(id="good", input="Good", target="a"),
                Sample(id="bad", input="Bad", target="a", metadata={"fail": True}),
            ],
            solver=failing(),
            scorer=match(),
        ),
        scripted("small", *"aaaa"),
        max_samples=1,
    )

    def rewrite(kind: str, source: str, change, suffix: str = ".eval") -> None:
        log = read_eval_log(str(folder / source))
        log = change(log) or log
        target = folder / f"{kind}{suffix}"
        write_eval_log(log, str(target))
        made.setdefault(kind, []).append(target.name)

    by = ProvenanceData(author="a person", reason="a wrong target")
    rewrite(
        "invalidated",
        "plain.eval",
        lambda log: invalidate_samples(log, [log.samples[1].uuid], by),
    )

    def edited(log) -> None:
        edit_score(log, "sum-2", "match", ScoreEdit(value="C", provenance=by))

    rewrite("edited", "plain.eval", edited)
    rewrite("converted", "messages.eval", lambda _: None, ".json")

    def cancelled(log) -> None:
        log.status = "cancelled"

    rewrite("cancelled", "plain.eval", cancelled)
    (folder / "chunks").mkdir()
    for name in ("messages.eval", "plain.eval"):
        convert_eval_logs_to_chunked(
            str(folder / name), str(folder / "chunks"), chunk_size=2, attachments_chunk_bytes=50
        )
        target = folder / f"chunked-{name}"
        (folder / "chunks" / name).rename(target)
        made.setdefault("chunked", []).append(target.name)
    (folder / "chunks").rmdir()

    killed = folder / "killed.eval"
    code = "import real_inspect, sys; real_inspect.run_and_die(sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run(
        [sys.executable, "-c", code, str(folder / "killed")], env=environment, check=False
    )
    (log,) = (folder / "killed").iterdir()
    log.rename(killed)
    made["killed"] = [killed.name]

    ok, logs = eval_set(
        [arithmetic(), arithmetic("again")],
        log_dir=str(folder / "set"),
        model=[scripted("small", *"02460246"), scripted("large", *"22462246")],
        display="none",
        log_format="eval",
    )
    assert ok
    made["set"] = [f"set/{Path(log.location).name}" for log in logs]
    return made


@solver
def dies():
    """End the process in the third sample, as when the machine is gone."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if state.sample_id == "sum-2":
            os._exit(1)
        return await generate(state)

    return solve


def run_and_die(folder: str) -> None:
    """Write the log of a run whose process ends within it."""
    task = Task(name="killed", dataset=arithmetic().dataset, solver=dies(), scorer=match())
    evaluate(
        task,
        model=scripted("small", *"0246"),
        log_dir=folder,
        display="none",
        max_samples=1,
        log_buffer=1,
        log_format="eval",
    )


def truth(path: Path) -> dict[str, object]:
    """Return a log as Inspect AI reads it, attachments resolved."""
    log = read_eval_log(str(path), resolve_attachments=True)
    return {
        "status": log.status,
        "task": log.eval.task,
        "model": log.eval.model,
        "results": log.results.model_dump() if log.results else None,
        "samples": [
            sample.model_dump(
                exclude={"events", "store", "attachments", "timelines", "events_data", "output"}
            )
            for sample in log.samples or []
        ],
    }


def make_examples(folder: Path) -> None:
    """Write the logs of examples/logs/inspect."""

    def run(name: str, task: Task, model: Model, log_format: str = "eval") -> None:
        log = evaluate(
            task, model=model, log_dir=str(folder), log_format=log_format, display="none"
        )[0]
        Path(log.location).rename(folder / f"{name}.{log_format}")

    def sums(count: int) -> Task:
        task = arithmetic()
        task.dataset = task.dataset[:count]
        return task

    run("arithmetic-small", sums(3), scripted("small", "0", "2", "5", cost=0.0001))
    run("arithmetic-large", sums(3), scripted("large", "0", "2", "4", cost=0.0009))
    run("arithmetic-medium", sums(1), scripted("medium", "1"), "json")
    image = ContentImage(image=PIXEL)
    user = ChatMessageUser
    samples = [
        Sample(
            id="turns",
            input=[
                user(content="I am Ada."),
                ChatMessageAssistant(content="Hi."),
                user(content="?"),
            ],
            target="a",
            metadata={"score": "I"},
        ),
        Sample(id="long", input=LONG + "Which one?", target="a", metadata={"score": "C"}),
        Sample(
            id="image",
            input=[user(content=[ContentText(text="What is it?"), image])],
            target="a",
            metadata={"score": 0.5},
        ),
        Sample(id="only", input=[user(content=[image])], target="a", metadata={"score": True}),
        Sample(id="nothing", input="No score", target="a", metadata={"score": "nan"}),
    ]
    mixed = Task(
        name="mixed",
        dataset=samples,
        solver=[system_message("Be brief."), generate()],
        scorer=[given(), two()],
    )
    run("mixed", mixed, scripted("small", *"abcde"))
    (folder / "chunks").mkdir()
    mixed.dataset = mixed.dataset[2:3]
    run("mixed-one", mixed, scripted("large", "a"))
    convert_eval_logs_to_chunked(str(folder / "mixed-one.eval"), str(folder / "chunks"))
    (folder / "chunks" / "mixed-one.eval").rename(folder / "mixed-chunked.eval")
    (folder / "mixed-one.eval").unlink()
    (folder / "chunks").rmdir()


def main(folder: Path, *, examples: bool) -> None:
    """Write the logs and the truth, or the examples."""
    folder.mkdir(parents=True, exist_ok=True)
    if examples:
        make_examples(folder)
        return
    made = make(folder)
    # This version of the tool writes samples in chunks and cannot read them: their source is the
    # truth.
    reading = {
        name: truth(folder / name.removeprefix("chunked-"))
        for kind, names in made.items()
        for name in names
        if kind != "killed"
    }
    text = json.dumps({"made": made, "read": reading}, default=str)
    (folder / "truth.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[-1]), examples="--examples" in sys.argv)
