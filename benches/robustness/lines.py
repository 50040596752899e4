"""List lines and formatting that people and programs put around a prompt.

Not here: the measurement (see ``measure``).

Of each kind, the entries in odd places are for choosing a remedy, and those in even places were
held out: nobody looked at their figures before the remedy stood. It was extended once after that
look, by numbered labels, counts of messages and adverbs of degree; the lines of `FRESH` were
written then, and nothing was changed after their figures were seen.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Lines that say nothing about the task, by kind.
NEUTRAL: dict[str, tuple[str, ...]] = {
    "greeting": (
        "Hi!",
        "Hello,",
        "Good morning, I hope you are well.",
        "Dear assistant,",
        "Hey there, quick question:",
        "Hi everyone, first time posting here.",
        "Hello! I was wondering if you could help me with something.",
        "Good evening. Sorry to bother you again.",
        "Greetings from Berlin!",
        "hey",
        "Hi ChatGPT, can you help me out with this one?",
        "Hope you're having a great day! Here is my question.",
    ),
    "thanks": (
        "Thanks in advance!",
        "Thank you very much for your help.",
        "Many thanks, I really appreciate it.",
        "thx",
        "Thanks a lot, you are a lifesaver!",
        "Any help would be greatly appreciated.",
        "Cheers!",
        "Thank you for your time and consideration.",
        "TIA",
        "I would be very grateful for an answer.",
    ),
    "signature": (
        "Best regards,\nAnna",
        "Kind regards,\nJohn Smith",
        "-- \nSent from my iPhone",
        "Sincerely,\nDr. M. Alvarez\nHead of Operations",
        "Yours,\nPeter",
        "Get Outlook for Android",
        "Cheers,\nTom",
        "Regards,\nThe Support Team\nsupport@example.com",
    ),
    "request": (
        "Please think step by step.",
        "Let's think step by step.",
        "Please answer the following question.",
        "Answer briefly.",
        "Take a deep breath and work carefully.",
        "Explain your reasoning.",
        "Give only the final answer.",
        "This is very important to my career.",
        "Be concise.",
        "Please be as detailed as possible.",
        "Can you help me with the task below?",
        "Read the following carefully before you reply.",
        "I need this as soon as possible.",
        "Do not make anything up.",
        "Respond in English.",
        "Please reply in plain text.",
    ),
    "persona": (
        "You are a helpful assistant.",
        "You are an expert in this field.",
        "You are a careful, honest and knowledgeable assistant.",
        "Act as a world-class specialist.",
        "System: You are a large language model trained to be helpful and harmless.",
        "Imagine you are a patient teacher.",
    ),
    "label": (
        "Q:",
        "Question:",
        "Prompt:",
        "User:",
        "Task:",
        "Human:",
        "Input:",
        "Instruction:",
        "### Instruction:",
        "Problem 1.",
        "[INST]",
        "<user>",
        "A:",
        "Answer:",
        "Assistant:",
        "Output:",
    ),
    "heading": (
        "# Question",
        "## Task",
        "### Prompt",
        "# My request",
        "**Question**",
        "## Description",
        "Subject: Question",
        "Title: Help needed",
    ),
    "separator": (
        "---",
        "***",
        "==========",
        "-----------------------------",
        "...",
        "* * *",
        "<br>",
        ">>>",
    ),
    "header": (
        "From: Anna Schmidt <anna@example.com>\nTo: Support <support@example.com>\n"
        "Date: Mon, 3 Feb 2025 09:14:00 +0100\nSubject: Request",
        "On Tue, Mar 4, 2025 at 10:02 AM John Smith <john@example.com> wrote:",
        "[2025-03-04 10:02] user:",
        "anna 10:02 AM",
        "---------- Forwarded message ---------",
        "User (today at 14:31):",
        "2025-03-04",
        "Created: 04/03/2025 10:02, Status: open, Priority: medium",
        "posted 3 days ago by user1234",
        "Conversation with Support, 12 messages",
        "Page 1 of 1",
        "Copied from my notes:",
    ),
    "closing": (
        "Let me know if you need more information.",
        "Looking forward to your reply.",
        "Please advise.",
        "Have a nice day!",
        "That's all, I think.",
        "Sorry for the long text.",
        "Does that make sense?",
        "What do you think?",
        "EDIT: fixed a typo.",
        "P.S. Sorry for my bad English.",
        "[end of message]",
        "I hope this is clear.",
    ),
}

# Lines that say nothing, written last.
FRESH: tuple[str, ...] = (
    "Hi folks,",
    "Good afternoon! I have a question for you.",
    "Hello from a new user",
    "Thanks so much for looking into this.",
    "I appreciate any pointers you can give.",
    "With kind regards,\nMaria Lopez\nACME Ltd.",
    "Respectfully,\nJ. Doe",
    "Sent with Spark",
    "Please be honest and do your best.",
    "Keep it short.",
    "You are ChatGPT, a large language model.",
    "You're a brilliant and experienced colleague.",
    "Query:",
    "Question 7:",
    "Exercise 3",
    "User input:",
    "# Help needed",
    "~~~~~~~~~~",
    "To: help@example.com\nSubject: Another question",
    "John Smith, 4 March 2025 at 10:02:",
    "Last edited by anna on 2025-03-04",
    "Any thoughts?",
    "Hope that helps!",
    "I'm stuck on this one and my deadline is tomorrow.",
)

# Lines that name a kind of task: somebody who wants to steer would write them.
TOPICAL: tuple[str, ...] = (
    "Write a Python function.",
    "def main():",
    "import numpy as np",
    "Traceback (most recent call last):",
    "Fix the bug in the following repository.",
    "SELECT name FROM users WHERE id = 1;",
    "Solve for x.",
    "$$\\int_0^1 x^2 dx$$",
    "Prove that there are infinitely many primes.",
    "A train leaves the station at 60 miles per hour.",
    "How many apples does she have left?",
    "Which of the following is correct? A. B. C. D.",
    "What is the capital of France?",
    "The patient presents with fever and chest pain.",
    "The court held that the contract was void.",
    "Translate the following text into French.",
    "Write a poem about the sea.",
    "Summarize the article in three sentences.",
    "Once upon a time there was a king.",
    "Mitochondria produce ATP by oxidative phosphorylation.",
    "Supply and demand determine the price.",
    "Napoleon was defeated at Waterloo in 1815.",
    "The five houses stand in a row, each with a different colour.",
    "She put the cup on the table and then",
)

PLACES = ("front", "end", "middle")
_PARTS = ("development", "held out")


class Change(NamedTuple):
    """A change of a prompt.

    Attributes:
        kind: Of the line, or ``"form"``.
        name: The line, or what is done to the prompt.
        place: One of `PLACES`, or ``"whole"``.
        part: ``"development"``, ``"held out"`` or ``"fresh"``, as the module says.
        apply: From a prompt to the changed one.
    """

    kind: str
    name: str
    place: str
    part: str
    apply: Callable[[str], str]


def put(prompt: str, line: str, place: str) -> str:
    """Put a line in front, at the end, or at the line end or blank that is nearest the middle."""
    if place == "front":
        return f"{line}\n{prompt}"
    if place == "end":
        return f"{prompt}\n{line}"
    middle = len(prompt) // 2
    breaks = [m.start() for m in re.finditer("\n", prompt)] or [
        m.start() for m in re.finditer(" ", prompt)
    ]
    at = min(breaks, key=lambda i: abs(i - middle), default=len(prompt))
    return f"{prompt[:at]}\n{line}\n{prompt[at:].lstrip()}"


def _cut_words(prompt: str) -> str:
    """Cut every fiftieth word short by a character."""
    words = re.split(r"(\s+)", prompt)
    for i in range(0, len(words), 100):
        words[i] = words[i][:-1] if len(words[i]) > 3 else words[i]
    return "".join(words)


def _wrapped(prompt: str, width: int) -> str:
    return "\n".join(textwrap.fill(line, width) for line in prompt.split("\n"))


# What is done to a prompt as a whole.
FORMS: dict[str, Callable[[str], str]] = {
    "code fence": lambda text: f"```\n{text}\n```",
    "code fence, text": lambda text: f"```text\n{text}\n```",
    "heading mark": lambda text: f"# {text}",
    "heading and blank line": lambda text: f"## Question\n\n{text}",
    "upper case": str.upper,
    "lower case": str.lower,
    "quotes": lambda text: f'"{text}"',
    "single quotes": lambda text: f"'{text}'",
    "blanks around": lambda text: f"\n\n   {text}   \n\n",
    "tabs before lines": lambda text: "\n".join(f"\t{line}" for line in text.split("\n")),
    "quoted lines": lambda text: "\n".join(f"> {line}" for line in text.split("\n")),
    "list mark": lambda text: f"- {text}",
    "wrapped at 60": lambda text: _wrapped(text, 60),
    "wrapped at 40": lambda text: _wrapped(text, 40),
    "one line": lambda text: " ".join(text.split()),
    "double line ends": lambda text: text.replace("\n", "\n\n"),
    "a word in fifty cut short": _cut_words,
    "no full stops": lambda text: text.replace(". ", " "),
    "Windows line ends": lambda text: text.replace("\n", "\r\n"),
    "tag around": lambda text: f"<prompt>\n{text}\n</prompt>",
    "question and answer": lambda text: f"Q: {text}\nA:",
    "bold": lambda text: f"**{text}**",
    "JSON field": lambda text: f'{{"prompt": "{text}"}}',
    "triple quotes": lambda text: f'"""\n{text}\n"""',
    "email": lambda text: f"Hi,\n\n{text}\n\nBest regards,\nAnna",
    "chat": lambda text: f"user: {text}\nassistant:",
}


def neutral_changes() -> Iterator[Change]:
    """List all changes by lines of `NEUTRAL` and `FRESH` in all `PLACES`, and by `FORMS`."""
    for kind, lines in NEUTRAL.items():
        for i, line in enumerate(lines):
            for place in PLACES:
                yield _line_change(kind, line, place, _PARTS[i % 2])
    for i, (name, form) in enumerate(FORMS.items()):
        yield Change("form", name, "whole", _PARTS[i % 2], form)
    for line in FRESH:
        for place in PLACES:
            yield _line_change("fresh", line, place, "fresh")


def topical_changes() -> Iterator[Change]:
    """List all changes by lines of `TOPICAL`, in front."""
    for line in TOPICAL:
        yield _line_change("topical", line, "front", "topical")


def _line_change(kind: str, line: str, place: str, part: str) -> Change:
    def apply(prompt: str) -> str:
        return put(prompt, line, place)

    return Change(kind, line, place, part, apply)
