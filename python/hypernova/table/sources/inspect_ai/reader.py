"""Read logs of Inspect AI: `.eval` archives, their samples in chunks or not, and `.json` files.

The summaries of an archive hold the scores, usage and times of every sample; a sample's own entry
is read for the text that its summary lacks. Not here: what becomes of the records.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hypernova.table.log_files.json_stream import walk
from hypernova.table.log_files.prompt_choice import PromptChoice
from hypernova.table.sources.inspect_ai.samples import (
    Run,
    Texts,
    contains_reference,
    is_thinned,
    sample_key,
    texts_of,
    to_sample,
    with_attachments,
)
from hypernova.table.sources.log import ToolLogReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hypernova.table.log_files.files import LogFile
    from hypernova.table.source import Source
    from hypernova.table.sources.log import Record, Sample

_ZIP = b"PK\x03\x04"
_HEADER = "header.json"
_START = "_journal/start.json"
_SUMMARIES = "summaries.json"
# The entries that a log begins with, by what wrote it: a run, or a conversion.
_FIRST = (_START, _HEADER, _SUMMARIES)
_SAMPLE = re.compile(r"samples/.*_epoch_\d+(?:\.json|/sample\.json)", re.DOTALL)
_CHUNK = re.compile(r"(samples/.*_epoch_\d+)/(messages|attachments)/(\d{1,18})\.json", re.DOTALL)
_MANIFEST_NAME = re.compile(r".+\.(?:eval|json)")
_MAX_ENTRY = 1 << 30
# Keys of a sample that its input and choices stand before.
_BEHIND_INPUT = frozenset({"target", "messages", "output", "store", "events"})
_AUTO = PromptChoice()


class InspectReader(ToolLogReader):
    """Read logs of Inspect AI."""

    name = "inspect"
    title = "Inspect AI"

    def recognise(self, file: LogFile) -> bool:
        """Return whether a file is an archive or a JSON log of Inspect AI, maybe cut short."""
        if file.head.startswith(_ZIP):
            if not file.entries:  # cut short
                first = _first_entry(file.head)
                return first in _FIRST or _SAMPLE.fullmatch(first) is not None
            return _START in file.entries or {_HEADER, _SUMMARIES} <= set(file.entries)
        return {"version", "status", "eval"} <= set(file.first_keys)

    def accompanies(self, file: LogFile) -> bool:
        """Return whether a file is the manifest of a folder of logs, or of an eval set."""
        keys = file.first_keys
        return "eval_set_id" in keys or (
            bool(keys) and all(_MANIFEST_NAME.fullmatch(key) for key in keys)
        )

    def read(
        self, log: LogFile, others: Sequence[LogFile], prompt: PromptChoice
    ) -> Iterator[Record]:
        """Yield the figures of a log and its samples, read in pieces.

        Raises:
            TableError: the log is cut short or damaged, of a run that has not ended or did not
                succeed, of a newer version, or without samples; or no sample has the field that is
                to be the prompt.
            MissingExtraError: it is an archive, and pyarrow is not installed.
        """
        del others
        if log.head.startswith(_ZIP):
            return _read_archive(log, prompt)
        return _read_json(log, prompt)


def _first_entry(head: bytes) -> str:
    """Return the name of an archive's first entry, which stands even in one that is cut short."""
    size = int.from_bytes(head[26:28], "little")
    return head[30 : 30 + size].decode("utf-8", "replace")


def _read_json(log: LogFile, prompt: PromptChoice) -> Iterator[Record]:
    header: dict[str, Any] = {}
    run: Run | None = None
    with log.open() as file:
        for path, value in walk(file, log.source, "samples"):
            if path != "samples":
                if run is None:
                    header[path] = value
                continue
            if run is None:
                run = Run.of(header, log.source, prompt)
                yield from run.figures()
            sample_id, epoch = sample_key(value, log.source)
            place = f"sample {sample_id}, epoch {epoch}"
            sample = with_attachments(value)
            yield run.counted(to_sample(run, sample, texts_of(run, sample), place))
    if run is None:
        run = Run.of(header, log.source, prompt)
    run.check()


def _read_archive(log: LogFile, prompt: PromptChoice) -> Iterator[Record]:
    if _HEADER not in log.entries and _START in log.entries:
        raise log.source.error(
            "has no header yet: its run goes on, or was ended from outside",
            "wait until it has ended, complete it with inspect log recover, or leave the log out",
        )
    archive = _Archive(log)
    run = Run.of(archive.read(_HEADER), log.source, prompt)
    yield from run.figures()
    found = None if run.invalidated else _from_summaries(archive, run)
    if found is not None:
        for sample in found:
            yield run.counted(sample)
    else:
        for name in archive.samples:
            yield run.counted(archive.whole(name, run))
    run.check()


def _from_summaries(archive: _Archive, run: Run) -> list[Sample] | None:
    """Return the samples by their summaries, or None where these do not say all."""
    if _SUMMARIES not in archive.names:
        return None
    samples: dict[tuple[str, int], Sample] = {}
    # By id: the epochs of a sample share its text, which is read once.
    read: dict[str, Texts] = {}
    for row in archive.rows(_SUMMARIES):
        key = sample_key(row, archive.source(_SUMMARIES))
        name = archive.name_of(*key)
        if not samples and not _same_by_summary(archive, run, row, name):
            return None
        texts = read.get(key[0])
        if texts is None and (run.prompt.kind in {"sent", "field"} or is_thinned(row)):
            texts = archive.texts(name, run)
            # A sample that failed may lack what its solvers would have put before the input.
            if row.get("error") is None:
                read[key[0]] = texts
        # The last of two summaries of one sample is that of the attempt that counts.
        samples[key] = to_sample(run, row, texts or texts_of(run, row), name)
    return list(samples.values()) if len(samples) == len(archive.samples) else None


def _same_by_summary(archive: _Archive, run: Run, row: Mapping[str, Any], name: str) -> bool:
    """Return whether a summary says what the sample's entry says; older versions say less."""
    if is_thinned(row):
        row = {**row, "input": archive.input_of(name)}
    whole = archive.whole(name, run, _AUTO)
    # By their text, because NaN differs from itself.
    return repr(to_sample(run, row, texts_of(run, row, _AUTO), name)) == repr(whole)


class _Archive:
    """The entries of an `.eval` archive."""

    def __init__(self, log: LogFile) -> None:
        self._log = log
        self.names = frozenset(log.entries)
        self.samples = [name for name in dict.fromkeys(log.entries) if _SAMPLE.fullmatch(name)]
        self._chunks: dict[tuple[str, str], list[tuple[int, str]]] | None = None

    def source(self, name: str) -> Source:
        """Return an entry as messages name it."""
        return self._log.entry_source(name)

    def read(self, name: str, *unread: str) -> dict[str, Any]:
        """Return the object in an entry without the values of the keys `unread`."""
        with self._log.open_entry(name, _MAX_ENTRY) as file:
            return {
                key: value
                for key, value in walk(file, self.source(name), *unread)
                if key.partition(".")[0] not in unread
            }

    def rows(self, name: str) -> Iterator[Any]:
        """Yield the values of the array in an entry."""
        with self._log.open_entry(name, _MAX_ENTRY) as file:
            for _, value in walk(file, self.source(name), ""):
                yield value

    def name_of(self, sample_id: str, epoch: int) -> str:
        """Return the name of a sample's entry, or of the main one of those in chunks."""
        name = f"samples/{sample_id}_epoch_{epoch}"
        for found in (f"{name}.json", f"{name}/sample.json"):
            if found in self.names:
                return found
        raise self._log.source.error(
            f"lacks the entry {name}.json that its summaries name",
            "it may be damaged: copy it again, or leave the log out",
        )

    def whole(self, name: str, run: Run, prompt: PromptChoice | None = None) -> Sample:
        """Return a sample by its own entry."""
        data = self.read(name, "events")
        if name.endswith("/sample.json"):
            data.update(self._rest(name, data, {"input", "messages", "metadata"}))
        sample_key(data, self.source(name))
        data = with_attachments(data)
        return to_sample(run, data, texts_of(run, data, prompt), name)

    def texts(self, name: str, run: Run) -> Texts:
        """Return the texts of a sample by its own entry, of which only these are read."""
        wanted = {"input", "choices"}
        if run.prompt.kind == "sent":
            wanted.add("messages")
        if run.prompt.kind == "field":
            wanted |= {"metadata", "target"}
        return texts_of(run, self._part(name, wanted))

    def input_of(self, name: str) -> object:
        """Return the input of a sample by its own entry."""
        return self._part(name, {"input"}).get("input")

    def _part(self, name: str, wanted: set[str]) -> dict[str, Any]:
        part: dict[str, Any] = {}
        with self._log.open_entry(name, _MAX_ENTRY) as file:
            for key, value in walk(file, self.source(name), "events", early=True):
                if key in wanted:
                    part[key] = value
                # All that is wanted stands before these; a log has choices or none.
                if key in _BEHIND_INPUT and wanted <= {*part, "choices"}:
                    break
        if name.endswith("/sample.json"):
            part.update(self._rest(name, self.read(name), wanted))
        elif contains_reference(part):
            part["attachments"] = self.read(name, "events").get("attachments")
        return with_attachments(part)

    def _rest(self, name: str, shell: Mapping[str, Any], wanted: set[str]) -> dict[str, Any]:
        """Return the values of a sample in chunks that stand beside its main entry."""
        prefix = name.removesuffix("/sample.json")
        rest: dict[str, Any] = {}
        if "metadata" in wanted and f"{prefix}/metadata.json" in self.names:
            rest["metadata"] = self.read(f"{prefix}/metadata.json")
        if "messages" in wanted:
            pool = self._sequence(prefix, "messages")
            rest["messages"] = _referred(pool, shell.get("message_refs"))
        if contains_reference({**shell, **rest}):
            pieces = self._sequence(prefix, "attachments")
            rest["attachments"] = {str(index): piece for index, piece in enumerate(pieces)}
        return rest

    def _sequence(self, prefix: str, kind: str) -> list[Any]:
        if self._chunks is None:
            self._chunks = {}
            for name in self.names:
                if match := _CHUNK.fullmatch(name):
                    place = self._chunks.setdefault((match[1], match[2]), [])
                    place.append((int(match[3]), name))
        chunks = sorted(self._chunks.get((prefix, kind), ()))
        return [value for _, name in chunks for value in self.rows(name)]


def _referred(pool: Sequence[Any], ranges: object) -> list[Any]:
    """Return the messages of the ranges [first, end) of a pool."""
    found: list[Any] = []
    for pair in ranges if isinstance(ranges, list) else ():
        if isinstance(pair, list) and len(pair) == 2 and all(type(end) is int for end in pair):
            found += pool[max(pair[0], 0) : max(pair[1], 0)]
        # Ranges that repeat a pool could fill the memory; a conversation has no message twice.
        if len(found) > len(pool):
            return found[: len(pool)]
    return found
