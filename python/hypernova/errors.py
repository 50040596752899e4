"""The exceptions of hypernova: errors of data, files, requests and state.

Not here: any logic; and wrong arguments, faults of the program that calls, which are Python's own
``TypeError`` and ``ValueError``. The compiled core raises these very classes, so that they pickle,
and so that one ``except HypernovaError`` catches all of them.
"""

from __future__ import annotations


class HypernovaError(Exception):
    """Base of all errors of data, files, requests and state.

    The message is one line: the fault, its place, and the remedy. An argument of a wrong type is a
    ``TypeError`` instead, and a setting out of range a ``ValueError`` where the docstring says so:
    faults of the program that calls.

    Example:
        >>> import hypernova
        >>> try:
        ...     hypernova.Router.open("no such file.hnv")
        ... except hypernova.HypernovaError as error:
        ...     print(type(error).__name__)
        NotFoundError
    """


class NotFoundError(HypernovaError, FileNotFoundError):
    """A named file or folder does not exist."""


class WriteError(HypernovaError, OSError):
    """A file or a stream cannot be written; a file that stood at the path still stands."""


class ArtifactError(HypernovaError, ValueError):
    """A file is no valid artifact, or one that this version of hypernova does not read."""


class ArtifactWriteError(WriteError):
    """An artifact cannot be written; a file that stood at the path still stands."""


class TableError(HypernovaError, ValueError):
    """An outcome table is malformed; the message names file, row and column."""


class TableWriteError(WriteError):
    """An outcome table cannot be written; a file that stood at the path still stands."""


class PriceError(HypernovaError, ValueError):
    """A price is malformed, names no model, or stands in a file that cannot be read."""


class OutcomeError(HypernovaError, ValueError):
    """A decision or an outcome cannot be logged: a value is missing or out of range."""


class OutcomeLogError(HypernovaError, OSError):
    """An outcome log cannot be written or read; its earlier records stay as they are."""


class RecalibrateError(HypernovaError, ValueError):
    """An artifact cannot learn from an outcome log with the options given."""


class FitError(HypernovaError, ValueError):
    """No artifact can be fitted to a table with the options given."""


class ModelPoolError(HypernovaError, ValueError):
    """A model cannot be added to an artifact, removed from it or renamed in it."""


class EvaluationError(HypernovaError, ValueError):
    """A table cannot be evaluated on with the options given, as when nothing is held out."""


class MonitorError(HypernovaError, ValueError):
    """Outcomes of a service cannot be monitored with the log or the options given."""


class WorkerError(HypernovaError, RuntimeError):
    """A worker process was ended from outside, as when memory runs out."""


class EmbedderError(HypernovaError, ValueError):
    """An embedder folder is incomplete, inconsistent, or gives wrong shapes."""


class ExportError(HypernovaError, ValueError):
    """A model cannot be exported as an embedder, or the folder for it is in use."""


class EmbedderMismatchError(EmbedderError):
    """An artifact was fitted with another embedder than the one given."""


class DeviceError(HypernovaError, RuntimeError):
    """A device, such as ``"cuda"``, cannot be used here."""


class TextError(HypernovaError, ValueError):
    """A text cannot be embedded: it is empty or holds no token."""


class MessagesError(HypernovaError, ValueError):
    """The messages of a conversation are malformed, or hold no text of a user."""


class VectorError(HypernovaError, ValueError):
    """A vector or matrix has the wrong dtype, shape or strides, or a value that is not finite."""


class KernelError(HypernovaError, ValueError):
    """``HYPERNOVA_SIMD`` names a SIMD level that is unknown or that this CPU lacks."""


class PolicyError(HypernovaError, ValueError):
    """A route option is out of range."""


class UnpicklingError(HypernovaError, ValueError):
    """A pickle is damaged, or another version of hypernova wrote it."""


class UnknownModelError(PolicyError):
    """A named model is none of the artifact's."""


class NoCandidateError(PolicyError):
    """The limits leave no model to choose from."""


class NovelPromptError(HypernovaError, ValueError):
    """A prompt is unlike all training prompts, and ``on_novel`` is ``"error"``."""


class MissingExtraError(HypernovaError, ImportError):
    """A package of an extra is not installed; the message names the extra."""
