"""Gather the text on which ``static`` is trained: documentation, docstrings, code, dictionaries.

Not here: the composed prompts (``compose.py``).

    python models/corpus.py build/corpus

fetches the packages named in corpus_debian.txt and corpus_wheels.txt (checked against their
sums; nothing in them is run), and writes ``texts.jsonl``, one text a line with its source.
``coding.jsonl`` has 10,000 of them that are about code, for ``hypernova fit --cluster-prompts``.
The corpus holds no prompt of an outcome table, and no package whose issues SWE-bench is made of.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import hashlib
import html.parser
import json
import re
import subprocess
import sys
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from compose import compose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE = Path(__file__).parent
SHORTEST, LONGEST = 20, 900  # characters; 900 are rarely more than the teacher's 256 tokens
# Texts kept of each kind: those with the smallest sha256, which is as good as a random draw.
QUOTA = {
    "wordnet": 50_000,
    "question": 20_000,
    "dictionary": 45_000,
    "fortune": 12_000,
    "paragraph": 70_000,
    "section": 15_000,
    "docstring": 30_000,
    "code": 20_000,
    "words": 40_000,
}
CODING = 2_000
PER_PACKAGE = 0.15  # largest part of a kind's quota that one package fills


def pinned(name: str) -> list[tuple[str, str]]:
    """Read (package=version, sha256) from each line."""
    lines = (HERE / name).read_text("utf-8").splitlines()
    pairs = (line.split() for line in lines if line and not line.startswith("#"))
    return [(package, sha) for package, sha in pairs]


def fetch(folder: Path) -> None:
    """Download Debian packages (unpacked, into ``debian/``) and wheels (into ``wheels/``)."""
    debian, wheels = folder / "debian", folder / "wheels"
    for package, sha in pinned("corpus_debian.txt"):
        name = package.partition("=")[0]
        if (debian / name).exists():
            continue
        debian.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "-q", "download", package], cwd=debian, check=True)
        [archive] = debian.glob(f"{name}_*.deb")
        if hashlib.sha256(archive.read_bytes()).hexdigest() != sha:
            raise SystemExit(f"{archive}: the sha256 is not that of corpus_debian.txt")
        subprocess.run(["dpkg-deb", "-x", archive, debian / name], check=True)
        archive.unlink()
    wheels.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
    pip += ["--only-binary", ":all:", "--python-version", "3.11", "--platform", "any"]
    pip += ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"]
    pip += ["-r", str(HERE / "corpus_wheels.txt"), "-d", str(wheels)]
    subprocess.run(pip, check=True)


Text = tuple[str, str, str]  # kind, source, text


def wordnet(folder: Path) -> Iterator[Text]:
    """Extract the glosses of WordNet, with the words that they explain."""
    for path in sorted(folder.glob("usr/share/wordnet/data.*")):
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("  "):
                continue  # the licence
            head, _, gloss = line.partition(" | ")
            fields = head.split()
            words = [w.replace("_", " ") for w in fields[4 : 4 + 2 * int(fields[3], 16) : 2]]
            gloss = gloss.strip()
            meaning, *examples = [part.strip(' "') for part in gloss.split('; "')]
            yield "wordnet", "glosses", meaning
            yield "wordnet", "entries", f"{', '.join(words)}: {gloss}"
            for example in examples:
                yield "wordnet", "examples", example
            if path.suffix != ".noun":
                continue
            # Questions, as people ask for a word, a name or a meaning.
            word = words[0]
            if word[0].isupper() and meaning.split()[0] not in ("a", "an", "the"):
                asked = f"who was the {meaning}?"
            elif word[0].isupper():
                asked = f"Which is {meaning}?"
            else:
                asked = (
                    f"What is {meaning} called?",
                    f"what is a {word}",
                    f"A {word} is {meaning}. Where would you find one?",
                )[len(meaning) % 3]
            yield "question", "wordnet", asked


def dictionary(folder: Path) -> Iterator[Text]:
    """Extract entries of a dictionary in dictd's format: an entry starts at the margin."""
    for path in sorted(folder.glob("usr/share/dictd/*.dict.dz")):
        lines = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
        for entry in re.split(r"\n\n?(?=[^\s])", lines):
            entry = re.sub(r"\\[^\\\n]*\\|\[(1913 Webster|PJC|WordNet.*?)\]|[{}]", "", entry)
            entry = re.sub(r"\(\d{4}-\d\d-\d\d\)", "", entry)
            yield "dictionary", folder.name, re.sub(r"\s+", " ", entry)


def fortunes(folder: Path) -> Iterator[Text]:
    """Extract quotations and sayings."""
    for path in sorted(folder.glob("usr/share/games/fortunes/*")):
        if not path.suffix and path.name not in ("art", "ascii-art"):
            for text in path.read_text("utf-8", "replace").split("\n%\n"):
                yield "fortune", path.name, re.sub(r"[ \t]+", " ", text)


class Page(html.parser.HTMLParser):
    """Collects the blocks of an HTML page in order: (is a heading, text)."""

    BLOCKS = frozenset(["p", "li", "dd", "dt", "pre", "h1", "h2", "h3", "h4", "td", "div"])

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[bool, str]] = []
        self._parts: list[str] = []
        self._tag = ""
        self._hidden = 0

    def flush(self, tag: str) -> None:
        """End the current block; the next text belongs to ``tag``."""
        text = "".join(self._parts)
        text = text.strip("\n") if self._tag == "pre" else re.sub(r"\s+", " ", text).strip()
        if text:
            self.blocks.append((self._tag[:1] == "h", text.replace("\u00b6", "")))
        self._parts, self._tag = [], tag

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        """Start a block, or a part that is not shown."""
        if tag in ("script", "style", "nav", "head"):
            self._hidden += 1
        elif tag in self.BLOCKS:
            self.flush(tag)

    def handle_endtag(self, tag: str) -> None:
        """End a block, or a part that is not shown."""
        if tag in ("script", "style", "nav", "head"):
            self._hidden = max(0, self._hidden - 1)
        elif tag in self.BLOCKS:
            self.flush("")

    def handle_data(self, data: str) -> None:
        """Add text that is shown."""
        if not self._hidden:
            self._parts.append(data)


def pages(folder: Path) -> Iterator[Text]:
    """Extract paragraphs, and sections: a heading, which reads like a title, and its text."""
    paths = [p for p in folder.rglob("*.html") if p.is_file()]
    if folder.name == "debian-handbook":
        paths = [p for p in paths if "en-US" in str(p)]
    # Of thousands of pages some hundreds suffice: those with the smallest sums.
    paths.sort(key=lambda p: hashlib.sha256(str(p.relative_to(folder)).encode()).digest())
    for path in paths[:600]:
        page = Page()
        page.feed(path.read_text("utf-8", "replace"))
        page.close()
        section: list[str] = []
        for heading, text in page.blocks:
            if heading:
                yield "section", folder.name, "\n".join(section)
                section = [text]
            else:
                if len(text) >= 60:
                    yield "paragraph", folder.name, text
                section.append(text)
        yield "section", folder.name, "\n".join(section)


def modules(wheel: Path) -> Iterator[Text]:
    """Extract docstrings and functions of a wheel, and paragraphs of its description."""
    package = wheel.name.partition("-")[0]
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(archive.namelist(), key=lambda n: hashlib.sha256(n.encode()).digest())
        for name in names:
            if name.endswith(".dist-info/METADATA"):
                body = archive.read(name).decode("utf-8", "replace").partition("\n\n")[2]
                for part in body.split("\n\n"):
                    yield "paragraph", package, part
        for name in [n for n in names if n.endswith(".py")][:400]:
            try:
                source = archive.read(name).decode("utf-8")
                tree = ast.parse(source)
            except (SyntaxError, UnicodeDecodeError, ValueError):
                continue  # a template, or a file for another version of Python
            for node in ast.walk(tree):
                if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                    continue
                if doc := ast.get_docstring(node):
                    yield "docstring", package, doc
                if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                    lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
                    yield "code", package, "\n".join(lines)


def sequences(texts: Iterable[Text]) -> Iterator[Text]:
    """Shuffle words of two texts together, so that only their presence counts."""
    words = [re.findall(r"[^\W\d_]+", text) for _, _, text in texts]
    for a, b in pairwise([w for w in words if len(w) > 3]):
        mixed = sorted(set(a[:6] + b[:4]), key=lambda w: hashlib.sha256(w.encode()).digest())
        yield "words", "shuffled", (", " if len(a) % 2 else " ").join(mixed)


def clean(text: str) -> str:
    """Cut to LONGEST characters, between words; give an empty text where too little is left."""
    text = text.strip()
    if len(text) > LONGEST:
        text = text[:LONGEST].rsplit(None, 1)[0]
    enough = len(text) >= SHORTEST and sum(c.isalpha() for c in text) >= len(text) / 2
    return text if enough else ""


def select(texts: Iterable[Text]) -> list[Text]:
    """Keep each text once, up to the quotas, in an order that depends on the texts alone."""
    seen: dict[bytes, Text] = {}
    for kind, source, text in texts:
        text = clean(text)
        if text:
            seen.setdefault(
                hashlib.sha256(text.encode("utf-8", "replace")).digest(), (kind, source, text)
            )
    kept: list[Text] = []
    count: dict[tuple[str, str], int] = {}
    for key in sorted(seen):
        kind, source, text = seen[key]
        many = kind in ("paragraph", "section", "docstring", "code")
        limit = QUOTA[kind] * (PER_PACKAGE if many else 1)
        if count.get((kind, source), 0) >= limit or count.get((kind, ""), 0) >= QUOTA[kind]:
            continue
        for at in ((kind, source), (kind, "")):
            count[at] = count.get(at, 0) + 1
        kept.append(seen[key])
    return kept


def gather(folder: Path) -> list[Text]:
    """Gather the texts of all packages in ``folder``, and the prompts composed of them."""
    debian = folder / "debian"
    readers = {"wordnet-base": wordnet, "fortunes": fortunes}

    def everything() -> Iterator[Text]:
        for package, _ in pinned("corpus_debian.txt"):
            name = package.partition("=")[0]
            default = dictionary if name.startswith("dict-") else pages
            yield from readers.get(name, default)(debian / name)
        for wheel in sorted((folder / "wheels").glob("*.whl")):
            yield from modules(wheel)

    texts = select(everything())
    prompts = [(kind, form, text[:LONGEST]) for kind, form, text in compose(texts)]
    return texts + select(sequences(texts)) + prompts


def coding(texts: list[Text]) -> list[str]:
    """Select general text about code, on which clusters can be fitted: CODING of each kind."""
    found: dict[str, list[str]] = {}
    for kind, form, text in texts:
        found.setdefault(form if kind == "prompt" else kind, []).append(text)
    kinds = ("docstring", "code", "section", "program", "issue")
    # Sorted by sum: independent of the order in which packages were read.
    return [
        text
        for kind in kinds
        for text in sorted(found[kind], key=lambda t: hashlib.sha256(t.encode()).digest())[:CODING]
    ]


def main() -> None:
    """Fetch, extract, and write ``texts.jsonl``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    fetch(folder)
    texts = gather(folder)
    with (folder / "texts.jsonl").open("w", encoding="utf-8") as file:
        for kind, source, text in texts:
            file.write(json.dumps({"kind": kind, "source": source, "text": text}) + "\n")
    with (folder / "coding.jsonl").open("w", encoding="utf-8") as file:
        for text in coding(texts):
            file.write(json.dumps({"prompt": text}) + "\n")


if __name__ == "__main__":
    main()
