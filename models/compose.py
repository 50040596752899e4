"""Compose prompts from texts of the corpus, whose packages hold few prompts as people write them.

Not here: the texts. The form of a request (a question with options, a word problem, an issue with
its trace, an instruction above a text) moves a vector as much as its subject. The forms are
written here by hand; texts of the corpus fill them, at random from a fixed seed. No prompt of an
outcome table was read for them; that people ask examination questions, sums, code and issues is
common knowledge.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Text = tuple[str, str, str]  # kind, source, text
EACH = 8_000  # prompts of each form
NAMES = (
    "Ada", "Ben", "Carla", "David", "Emma", "Farid", "Grace", "Hugo", "Ines", "Jamal", "Kate",
    "Liam", "Maria", "Noah", "Olga", "Paul",
)  # fmt: skip
THINGS = (
    "apples", "books", "pencils", "cookies", "marbles", "stickers", "tickets", "shirts", "eggs",
    "bottles", "coins", "flowers", "cards", "boxes", "balloons", "sandwiches",
)  # fmt: skip
ERRORS = (
    "TypeError: unsupported operand type(s) for +: 'int' and 'str'",
    "AttributeError: 'NoneType' object has no attribute '{name}'",
    "KeyError: '{name}'",
    "ValueError: invalid value for {name}",
    "IndexError: list index out of range",
    "RecursionError: maximum recursion depth exceeded",
    "ImportError: cannot import name '{name}'",
    "AssertionError",
)


class Composer:
    """Fills the forms with texts of each kind."""

    def __init__(self, texts: list[Text], seed: int) -> None:
        self.random = random.Random(seed)
        self.of: dict[str, list[str]] = {}
        for kind, _, text in texts:
            self.of.setdefault(kind, []).append(text)
        self.defined = [t.split(": ", 1) for t in self.of["wordnet"] if 0 < t.find(": ") < 40]

    def text(self, *kinds: str, most: int = 700) -> str:
        """Draw a text of one of the kinds."""
        return self.random.choice(self.of[self.random.choice(kinds)])[:most]

    def sentences(self, *kinds: str) -> list[str]:
        """Draw a text of at least two sentences, and split it into them."""
        while True:
            found = re.split(r"(?<=[.!?])\s+", self.text(*kinds))
            if len(found) > 1:
                return found

    def options(self, options: list[str]) -> str:
        """List options under letters or numbers."""
        form = self.random.choice(["{}. {}", "{}) {}", "({}) {}", "{}: {}"])
        marks = self.random.choice(["ABCDE", "abcde", "12345"])
        lines = [form.format(m, o) for m, o in zip(marks, options, strict=False)]
        return self.random.choice(["\n", "\n", " "]).join(lines)

    def choice(self) -> str:
        """Ask for a word or its meaning, with four options."""
        r, asked = self.random, self.random.sample(self.defined, 4)
        word, meaning = asked[0]
        if r.random() < 0.5:
            question = r.choice(
                ["Which of the following means: {}?", "What is {} called?", "{} is known as",
                 "Which term is defined as {}?", "The word for {} is:"]
            ).format(meaning)  # fmt: skip
            options = [w for w, _ in asked]
        else:
            question = r.choice(
                ["What is {}?", "Which of these best describes {}?", "{} refers to",
                 "The term {} means", "Which statement about {} is true?"]
            ).format(word)  # fmt: skip
            options = [m for _, m in asked]
        r.shuffle(options)
        lead = r.choice(["", "", "Question: ", "Choose the correct answer.\n"])
        return f"{lead}{question}\n{self.options(options)}" + r.choice(["", "\nAnswer:", "\n"])

    def reading(self) -> str:
        """Give a passage, and ask about it."""
        r = self.random
        passage = self.text("paragraph", "section", "fortune", "docstring")
        claim = r.choice(self.sentences("paragraph"))
        question = r.choice(
            [
                "What is the main idea of the passage?",
                "According to the text, which of the following is true?",
                f"Does the passage say that {claim} Yes or no?",
                f"Is it true, false or not stated: {claim}",
                "What would the author most likely agree with?",
            ]
        )
        if r.random() < 0.5:
            return f"{r.choice(['Passage: ', 'Read this:', ''])}{passage}\n\n{question}"
        return f"{question}\n\n{passage}"

    def ending(self) -> str:
        """Give the beginning of a text, and four continuations."""
        r, kinds = self.random, ("paragraph", "fortune", "section")
        start, true = self.sentences(*kinds)[:2]
        options = [true, *(r.choice(self.sentences(*kinds)) for _ in range(3))]
        r.shuffle(options)
        asked = r.choice(
            ["Which ending is the most likely?", "What happens next?", "Complete the text:",
             "Choose the best continuation.", ""]
        )  # fmt: skip
        return f"{asked}\n{start}\n{self.options([o[:150] for o in options])}".strip()

    def story(self) -> str:
        """Write a word problem of arithmetic."""
        r = self.random
        a, b, c = r.sample(NAMES, 3)
        thing, other = r.sample(THINGS, 2)
        n = [r.choice([r.randint(2, 20), r.randint(5, 200)]) for _ in range(5)]
        parts = [
            f"{a} has {n[0]} {thing} and buys {n[1]} more.",
            f"{b} gives {a} {n[2]} {thing} every day for {n[3]} days.",
            f"Each of the {thing} costs ${n[1]}, and {other} cost ${n[2]} each.",
            f"{a} sells {n[2]}% of the {thing} and keeps the rest.",
            f"There are {n[3]} {thing} in a box, and {b} needs {n[0]} boxes.",
            f"It takes {a} {n[0]} minutes to make {n[1]} {thing}, and {c} twice as long.",
            f"A train travels {n[4]} miles in {n[0]} hours, then {n[1]} miles in {n[2]} hours.",
            f"{c} is {n[0]} years older than {b}, who is half as old as {a}.",
            f"{a} earns ${n[0]} an hour and works {n[1]} hours a week for {n[3]} weeks.",
            f"{b} spends a third of the money on {thing} and ${n[2]} on {other}.",
        ]
        questions = [
            f"How many {thing} does {a} have left?",
            f"How much does {b} spend in total?",
            f"How many {thing} do they have altogether?",
            f"How much more than {c} does {a} earn in a week?",
            "What is the average speed in miles per hour?",
            f"How old will {a} be in {n[0]} years?",
            f"How many hours does it take {c}?",
        ]
        return " ".join([*r.sample(parts, r.randint(1, 4)), r.choice(questions)])

    def formula(self) -> str:
        """Write a mathematical task with formulas."""
        r = self.random
        a, b, c, d = (r.randint(2, 60) for _ in range(4))
        x = r.choice("xynkt")
        terms = [
            f"Solve for {x}: {a}{x} + {b} = {c}.",
            f"What is {a}% of {b}?",
            f"Compute {a} * ({b} - {c}) / {d}.",
            f"Find the derivative of $f({x}) = {a}{x}^3 - {b}{x} + {c}$.",
            f"Evaluate the integral \\int_0^{a} ({x}^2 + {b}{x}) \\, d{x}.",
            f"What is the remainder when {a}^{b} is divided by {c}?",
            f"Let $p({x}) = {x}^2 - {a}{x} + {b}$. Find the sum of its roots.",
            f"A right triangle has legs {a} and {b}. What is the length of its hypotenuse?",
            f"How many ways are there to choose {min(a, b)} of {max(a, b)} people?",
            f"The probability of an event is \\frac{{{min(a, b)}}}{{{max(a, b)}}}. Find the odds.",
            f"Simplify \\sqrt{{{a * a * b}}} and write it as $k\\sqrt{{m}}$.",
            f"Find the determinant of the matrix [[{a}, {b}], [{c}, {d}]].",
            f"Is {a * b + 1} a prime number? Prove it.",
            f"In a group of order {a * b}, how many subgroups of order {a} can there be?",
            f"Find the greatest common divisor of {a * c} and {b * c}.",
            f"A circle has radius {a}. What is the area of a sector of {b} degrees?",
            f"Find the degree of the extension Q(sqrt({a}), sqrt({b})) over Q.",
        ]
        text = " ".join(r.sample(terms, r.choice([1, 1, 2])))
        if r.random() < 0.4:
            text += "\n" + self.options([str(r.randint(0, 200)) for _ in range(4)])
        lead = r.choice(["", "", "", "Problem: ", "Question: ", "Please reason step by step.\n"])
        return lead + text

    def program(self) -> str:
        """Ask for code to be written, completed, explained or tested."""
        r = self.random
        code = self.text("code")
        said = re.sub(r"\s+", " ", self.sentences("docstring")[0])
        found = re.search(r"def (\w+)", code)
        name = found[1] if found else "solve"
        head = code.splitlines()[0]
        values = [r.randint(0, 99) for _ in range(4)]
        return r.choice(
            [
                f"Write a Python function `{name}` that does this: {said}",
                f'Complete the function:\n\n{head}\n    """{said}"""\n',
                f"You are an expert Python programmer. Your task: {said} Your code should pass "
                f"these tests:\n\nassert {name}({values[0]}) == {values[1]}\n"
                f"assert {name}({values[2]}) == {values[3]}",
                f"What does this code do?\n\n{code}",
                f"Explain the following code and find its bugs:\n```python\n{code}\n```",
                f"Write a {r.choice(['Python', 'Java', 'C++', 'Rust', 'Go'])} program. {said}",
                f"What is the output of this program?\n{code}",
                f"Write unit tests for the following function.\n\n{code}",
                f"Rewrite this in {r.choice(['Java', 'C', 'JavaScript', 'Go'])}:\n{code}",
            ]
        )

    def issue(self) -> str:
        """Report a bug or ask for a feature, with a title."""
        r = self.random
        code = self.text("code", most=350)
        said = self.sentences("docstring", "section")
        name = r.choice(re.findall(r"[a-z_]{4,}", code) or ["value"])
        error = r.choice(ERRORS).format(name=name)
        title = r.choice(
            [
                f"{name} raises {error.partition(':')[0]}",
                f"{name}() does not work with {r.choice(self.defined)[0]}",
                said[0][:90],
                f"Add support for {name} in {r.choice(self.defined)[0]}",
                f"Wrong result of {name} when empty",
            ]
        )
        trace = (
            f'Traceback (most recent call last):\n  File "example.py", line {r.randint(2, 90)}, in '
            f"<module>\n    {code.splitlines()[-1].strip()}\n{error}"
        )
        body = [
            r.choice(["### Describe the bug", "Description", "**Bug summary**", "#### Problem"]),
            " ".join(said[:3]),
            r.choice(["To reproduce:", "### Steps to Reproduce", "```python", "Example:"]),
            code,
            trace if r.random() < 0.5 else r.choice(["Expected:", "**Actual outcome**"]),
            r.choice(["", f"Python 3.{r.randint(6, 12)}, Linux", "I am happy to make a PR."]),
        ]
        return "\n".join([title, *body])

    def order(self) -> str:
        """Put an instruction above a text."""
        text = self.text("paragraph", "fortune", "section", "docstring", "dictionary")
        asked = self.random.choice(
            [
                "Summarize the following text in two sentences.",
                "Translate to French:",
                "Rewrite this in simpler words:",
                "What is the sentiment of this text? Answer positive or negative.",
                "Write a short essay about the following.",
                "Extract all names and dates:",
                "Give three arguments against this:",
                "Correct the grammar:",
                "You are a helpful assistant. Answer the user.\n\nUser:",
                "Write an email that says:",
            ]
        )
        return f"{asked}\n{text}"

    def pair(self) -> str:
        """Give two statements to compare, or one with a gap."""
        r = self.random
        a, b = (r.choice(self.sentences("paragraph", "fortune")) for _ in range(2))
        words = a.split()
        gap = r.randrange(len(words))
        blank = " ".join("_" if i == gap else w for i, w in enumerate(words))
        two = r.sample(self.defined, 2)
        return r.choice(
            [
                f"Premise: {a}\nHypothesis: {b}\nEntailment, contradiction or neutral?",
                f"Sentence 1: {a}\nSentence 2: {b}\nDo they mean the same?",
                f"Fill in the blank: {blank}\nOption1: {words[gap]}\nOption2: {two[0][0]}",
                f"{blank}\nWhich word belongs in the gap, {words[gap]} or {two[0][0]}?",
                f"What is the difference between {two[0][0]} and {two[1][0]}?",
                f"How are {two[0][0]} and {two[1][0]} related?",
                f"Statement 1 | {a} Statement 2 | {b}\n" + self.options(
                    ["True, True", "False, False", "True, False", "False, True"]
                ),
            ]
        )  # fmt: skip


def compose(texts: list[Text], each: int = EACH, seed: int = 0) -> list[Text]:
    """Compose ``each`` prompts of every form, without duplicates."""
    c = Composer(texts, seed)
    forms: list[Callable[[], str]] = [
        c.choice, c.reading, c.ending, c.story, c.formula,
        c.program, c.issue, c.order, c.pair,
    ]  # fmt: skip
    made = {form(): form.__name__ for form in forms for _ in range(each)}
    return [("prompt", form, text) for text, form in made.items()]
