"""Make sketches of the vectors of decisions, for a log whose user allows it.

Not here: the directions of a sketch (see ``hypernova.artifact.sketch``).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from hypernova._core import _grounds
from hypernova.forked import ForkSafeLock

if TYPE_CHECKING:
    from hypernova._core import Artifact, Decision
    from hypernova.artifact.sketch import SketchBasis

# Artifacts whose directions are kept: that of the router, and those before and beside it.
MAX_ARTIFACTS = 8


class Sketcher:
    """Make sketches; the directions of each artifact are read once. Threads may share it."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._bases: OrderedDict[str, SketchBasis | None] = OrderedDict()

    def sketch(self, decision: Decision) -> bytes | None:
        """Return the sketch of a decision's vector.

        Returns:
            None if the decision has no vector any more, or its artifact no directions.
        """
        grounds = _grounds(decision)
        if grounds is None:
            return None
        artifact, vector = grounds
        with self._lock:
            basis = self._basis(artifact)
        return None if basis is None else basis.sketch(vector)

    def _basis(self, artifact: Artifact) -> SketchBasis | None:
        if artifact.sha256 not in self._bases:
            # Here, because a log without sketches needs no NumPy.
            from hypernova.artifact.sketch import SketchBasis

            self._bases[artifact.sha256] = SketchBasis.of(artifact)
            if len(self._bases) > MAX_ARTIFACTS:
                self._bases.popitem(last=False)
        return self._bases[artifact.sha256]
