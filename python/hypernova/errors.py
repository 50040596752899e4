"""Every exception that hypernova raises on purpose.

Not here: any logic. The compiled core raises these very classes, so that they
pickle, and so that one ``except HypernovaError`` catches all of them.
"""

from __future__ import annotations


class HypernovaError(Exception):
    """Base of all errors that hypernova raises on purpose.

    The message is one line that says what was wrong, where, and what to do.
    """


class NotFoundError(HypernovaError, FileNotFoundError):
    """A file or folder that was named does not exist."""


class WriteError(HypernovaError, OSError):
    """A file or a stream could not be written; what stood at a path before still stands."""


class ArtifactError(HypernovaError, ValueError):
    """A file is not a valid routing artifact, or not one this version reads."""


class ArtifactWriteError(WriteError):
    """An artifact could not be written; what stood at the path before still stands."""


class TableError(HypernovaError, ValueError):
    """An outcome table is malformed; the message names file, row and column."""


class TableWriteError(WriteError):
    """An outcome table could not be written; what stood at the path before still stands."""


class OutcomeError(HypernovaError, ValueError):
    """A decision or an outcome cannot be logged: a value is missing or out of range."""


class OutcomeLogError(HypernovaError, OSError):
    """An outcome log cannot be written or read; the records before stand as they are."""


class RecalibrateError(HypernovaError, ValueError):
    """A log cannot be folded into an artifact with the options given."""


class FitError(HypernovaError, ValueError):
    """A table cannot be fitted with the options given."""


class ModelPoolError(HypernovaError, ValueError):
    """A model cannot be added to an artifact, removed from it or renamed in it."""


class EvaluationError(HypernovaError, ValueError):
    """A table cannot be judged with the options given: nothing could be held out."""


class WorkerError(HypernovaError, RuntimeError):
    """A process that works for this one was ended by something else, as when memory runs out."""


class EmbedderError(HypernovaError, ValueError):
    """An embedder folder is incomplete, inconsistent, or gives wrong shapes."""


class ExportError(HypernovaError, ValueError):
    """A model that cannot be turned into an embedder, or a place that is in use."""


class EmbedderMismatchError(EmbedderError):
    """The artifact was fitted with another embedder than the one at hand."""


class DeviceError(HypernovaError, RuntimeError):
    """The device that was asked for does not work here."""


class TextError(HypernovaError, ValueError):
    """A text cannot be embedded: it is empty or holds no token."""


class MessagesError(HypernovaError, ValueError):
    """The messages of a chat are malformed, or hold nothing that a user said."""


class VectorError(HypernovaError, ValueError):
    """A vector or matrix has the wrong dtype, shape, strides, or a value that is not finite."""


class KernelError(HypernovaError, ValueError):
    """``HYPERNOVA_SIMD`` asks for a search kernel that is unknown or that this CPU lacks."""


class PolicyError(HypernovaError, ValueError):
    """A wish of the caller is out of range."""


class UnpicklingError(HypernovaError, ValueError):
    """The state in a pickle is damaged, or another version of hypernova wrote it."""


class UnknownModelError(PolicyError):
    """A model was named that the artifact does not hold."""


class NoCandidateError(PolicyError):
    """The caller's limits leave no model to choose from."""


class NovelPromptError(HypernovaError, ValueError):
    """A prompt is unlike all training prompts, and ``on_novel`` is ``"error"``."""


class MissingExtraError(HypernovaError, ImportError):
    """A package is missing that belongs to an extra; the message names the extra."""
