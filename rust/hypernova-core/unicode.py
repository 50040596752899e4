"""Write the Unicode tables of `src/text/word_piece/tables.rs`: what the package tokenizers does.

Not here: how the core uses them (`src/text/word_piece/unicode.rs`).

The package's own tables are of several old versions of Unicode, so it is asked what it does with
every code point. ``python rust/hypernova-core/unicode.py`` writes the tables; ``--check`` exits
with 1 if they are not those of the installed package.
"""

from __future__ import annotations

import sys
import unicodedata
from itertools import groupby
from pathlib import Path

from tokenizers import normalizers, pre_tokenizers

TABLES = Path(__file__).resolve().parent / "src" / "text" / "word_piece" / "tables.rs"
CODES = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
HANGUL = range(0xAC00, 0xD7A4)
BLOCK = 128

CONTROL, BLANK, PUNCTUATION, CHINESE, DECOMPOSES, MARK, UPPER, ORDER = (1 << i for i in range(8))

nfd = normalizers.NFD().normalize_str
split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str


def bert(**flags: bool) -> normalizers.BertNormalizer:
    """Return a BERT normalizer that does one thing alone."""
    every = {"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"}
    return normalizers.BertNormalizer(**dict.fromkeys(every, False) | flags)


def changed(**flags: bool) -> dict[int, str]:
    """Return what a normalizer makes of each character that it changes."""
    normalize = bert(**flags).normalize_str
    made = ((code, normalize(f"a{chr(code)}b")[1:-1]) for code in CODES)
    return {code: text for code, text in made if text != chr(code)}


def combining_classes() -> dict[int, int]:
    """Return the class by which each mark that combines is ordered, as the package has it."""
    plain = [chr(code) for code in CODES if nfd(chr(code)) == chr(code)]

    def is_behind(mark: str, other: str) -> bool:
        return mark != other and nfd(f"a{mark}{other}") == f"a{other}{mark}"

    # U+0334 is of the lowest class, 1, and U+0345 of the highest, 240.
    low, high = "\u0334", "\u0345"
    marks = [c for c in plain if is_behind(c, low) or is_behind(high, c) or c in (low, high)]
    # The first mark of each class, by Unicode's own numbers, which do not change for old marks.
    one_of: dict[int, str] = {}
    for mark in marks:
        if number := unicodedata.combining(mark):
            one_of.setdefault(number, mark)
    classes = {}
    for mark in marks:
        same = [
            number
            for number, other in one_of.items()
            if not is_behind(mark, other) and not is_behind(other, mark)
        ]
        assert len(same) == 1, f"U+{ord(mark):04X} is of the classes {same}"
        classes[ord(mark)] = same[0]
    return classes


def tables() -> str:
    """Return the text of the file."""
    control = {code for code, text in changed(clean_text=True).items() if not text}
    chinese = changed(handle_chinese_chars=True)
    stripped = changed(strip_accents=True)
    lower = changed(lowercase=True)
    order = combining_classes()
    kept_marks = {code: number for code, number in order.items() if stripped.get(code) != ""}
    classes = [0] * 0x110000
    for code in CODES:
        char = chr(code)
        parts = [part for part, _ in split(f"a{char}b")]
        bits = CONTROL * (code in control) | CHINESE * (code in chinese) | UPPER * (code in lower)
        bits |= BLANK * (parts == ["a", "b"]) | PUNCTUATION * (parts == ["a", char, "b"])
        text = stripped.get(code, char)
        bits |= MARK * (text == "") | DECOMPOSES * (text not in ("", char))
        is_barrier = not text and any(ord(c) not in order for c in nfd(char))
        bits |= ORDER * (code in kept_marks or is_barrier)
        classes[code] = bits
    longer = [code for code, text in lower.items() if len(text) > 1]
    assert longer == [0x130], "one capital letter becomes two characters"
    assert all(text == f" {chr(code)} " for code, text in chinese.items())
    decomposed = {c: t for c, t in stripped.items() if t and c not in HANGUL}
    # What a mark of a decomposition would have to wait for is not looked at.
    assert not any(ord(text[0]) in order for text in decomposed.values() if len(text) > 1)
    return render(classes, decomposed, lower, kept_marks)


def render(
    classes: list[int], decomposed: dict[int, str], lower: dict[int, str], marks: dict[int, int]
) -> str:
    """Return the tables as Rust."""
    blocks: dict[tuple[int, ...], int] = {}
    index = [
        blocks.setdefault(tuple(classes[start : start + BLOCK]), len(blocks))
        for start in range(0, len(classes), BLOCK)
    ]
    assert len(blocks) < 256
    letters = {bits: chr(ord("a") + i) for i, bits in enumerate(sorted(set(classes) - {0}))}
    letters[0] = "."
    rows = ["".join(letters[bits] for bits in block) for block in blocks]
    runs = [(block, len(list(run))) for block, run in groupby(index)]
    text = "".join(decomposed[code] for code in sorted(decomposed))
    ends, end = [], 0
    for code in sorted(decomposed):
        end += len(decomposed[code].encode())
        ends.append(end)
    bits = ", ".join(f"(b'{letter}', {bits})" for bits, letter in letters.items())
    return "\n".join(
        [
            "//! Unicode as the package tokenizers has it; written by `unicode.py`.",
            "//!",
            "//! Not here: the use of these tables (`unicode.rs`).",
            "",
            "/// Letter of each class of characters, and its bits.",
            "#[rustfmt::skip]",
            f"pub(super) const LETTERS: [(u8, u8); {len(letters)}] = [{bits}];",
            f"/// Rows of {BLOCK} characters, each with the letter of its class.",
            f"pub(super) const ROWS: [&[u8; {BLOCK}]; {len(rows)}] = [",
            *(f'    b"{row}",' for row in rows),
            "];",
            "/// Rows of all characters: the index of a row, and how often it follows.",
            "#[rustfmt::skip]",
            f"pub(super) const RUNS: [(u8, u16); {len(runs)}] = [",
            *wrapped(f"({block}, {count})" for block, count in runs),
            "];",
            "/// Characters that decompose, in order.",
            "#[rustfmt::skip]",
            f"pub(super) static DECOMPOSED: [u32; {len(ends)}] = [",
            *wrapped(f"{code:#x}" for code in sorted(decomposed)),
            "];",
            "/// Ends, in `DECOMPOSED_TEXT`, of that to which each decomposes.",
            "#[rustfmt::skip]",
            f"pub(super) static DECOMPOSED_ENDS: [u16; {len(ends)}] = [",
            *wrapped(str(end) for end in ends),
            "];",
            "/// The decompositions without the marks that are dropped.",
            "#[rustfmt::skip]",
            "pub(super) static DECOMPOSED_TEXT: &str = concat!(",
            *(f'    "{escaped(text[i : i + 12])}",' for i in range(0, len(text), 12)),
            ");",
            "/// Characters in upper case, in order, and the first of each in lower case.",
            "#[rustfmt::skip]",
            f"pub(super) static LOWER: [(u32, u32); {len(lower)}] = [",
            *wrapped(f"({code:#x}, {ord(to[0]):#x})" for code, to in sorted(lower.items())),
            "];",
            "/// Marks that are not dropped, in order, and the class by which each is ordered.",
            "#[rustfmt::skip]",
            f"pub(super) static KEPT_MARKS: [(u32, u8); {len(marks)}] = [",
            *wrapped(f"({code:#x}, {number})" for code, number in sorted(marks.items())),
            "];",
            "",
        ]
    )


def wrapped(items: object) -> list[str]:
    """Return lines of items, each at most 100 characters wide."""
    lines = ["   "]
    for item in items:  # type: ignore[attr-defined]
        if len(lines[-1]) + len(item) + 2 > 100:
            lines.append("   ")
        lines[-1] += f" {item},"
    return lines


def escaped(text: str) -> str:
    """Return a text as Rust writes it, in ASCII."""
    return "".join(f"\\u{{{ord(char):x}}}" for char in text)


if __name__ == "__main__":
    new = tables()
    if "--check" in sys.argv[1:]:
        sys.exit(TABLES.read_text() != new)
    TABLES.write_text(new)
