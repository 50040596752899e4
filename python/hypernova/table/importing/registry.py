"""The readers that are asked for a log: those of the package, and those of entry points.

Not here: the readers.
"""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING

from hypernova.errors import TableError
from hypernova.table.source import quoted
from hypernova.table.sources.helm import HelmReader
from hypernova.table.sources.inspect_ai.reader import InspectReader
from hypernova.table.sources.langfuse.reader import LangfuseReader
from hypernova.table.sources.litellm_spend import LiteLLMSpendReader
from hypernova.table.sources.lm_eval.reader import LmEvalReader
from hypernova.table.sources.log import ToolLogReader
from hypernova.table.sources.openai_evals import OpenAIEvalsReader
from hypernova.table.sources.promptfoo.reader import PromptfooReader
from hypernova.table.sources.public.routerbench import RouterBenchReader
from hypernova.table.sources.public.swebench import SwebenchReader

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = "hypernova.log_readers"
_BUILT_IN: tuple[Callable[[], ToolLogReader], ...] = (
    InspectReader,
    LmEvalReader,
    PromptfooReader,
    HelmReader,
    OpenAIEvalsReader,
    LangfuseReader,
    LiteLLMSpendReader,
    RouterBenchReader,
    SwebenchReader,
)


@cache
def log_readers() -> tuple[ToolLogReader, ...]:
    """Return one reader of each tool: those of the package first, then those of entry points.

    Raises:
        TableError: an entry point is no reader, or cannot be loaded.
    """
    readers = [make() for make in _BUILT_IN]
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            reader = entry.load()()
        except Exception as error:
            raise TableError(
                f"the log reader {quoted(entry.value)} of the entry point {quoted(entry.name)} "
                f"cannot be loaded ({error}); mend or uninstall the package that declares it"
            ) from error
        if not isinstance(reader, ToolLogReader):
            raise TableError(
                f"the entry point {quoted(entry.name)} gives {quoted(entry.value)}, which is no "
                "ToolLogReader; derive it from hypernova.table.sources.ToolLogReader"
            )
        readers.append(reader)
    return tuple(readers)
