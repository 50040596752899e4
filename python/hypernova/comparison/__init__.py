"""Compare the decisions of two artifacts before one takes over from the other.

Not here: fitting, and whether routing is worth it at all (`hypernova.evaluation`).

- ``compare``: `diff`
- ``compatibility``: whether a service of one artifact can take the other
- ``choosing``: an artifact with the options that concern its models
- ``prompts``: decisions of both for prompts
- ``centres``: decisions of both at centroids
- ``logged``: logged decisions of the old artifact, and their shadows
- ``tally``: counts of pairs of decisions, in flat memory
- ``figures``: shares and means that follow from them
- ``result``: the figures as values
- ``text``: `ArtifactDiff`, the figures and their text
"""

from hypernova.comparison.compare import diff
from hypernova.comparison.compatibility import Compatibility, NameChanges
from hypernova.comparison.result import (
    ArtifactName,
    ChosenModel,
    KindChange,
    MeanChange,
    ModelMove,
    View,
)
from hypernova.comparison.text import ArtifactDiff

__all__ = [
    "ArtifactDiff",
    "ArtifactName",
    "ChosenModel",
    "Compatibility",
    "KindChange",
    "MeanChange",
    "ModelMove",
    "NameChanges",
    "View",
    "diff",
]
