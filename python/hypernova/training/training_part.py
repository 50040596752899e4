"""Learn estimates from the sums of some tasks: of a whole table, or of the training part of a fold.

Not here: the sums (see ``placed_tasks`` and ``cross_validation``), or the weights with which the
estimates are averaged (see ``model_selection``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hypernova.artifact.profile import GroupProfiles, TokenProfiles
from hypernova.artifact.sketch import SketchBasis
from hypernova.parallel.threads import compute_threads
from hypernova.training.assemble import assemble
from hypernova.training.estimates.linear_correction import LinearCorrection, fit_ridges
from hypernova.training.estimates.profile import Estimate, Evidence, estimate
from hypernova.training.estimates.token_use import TokenUse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hypernova._core import Artifact
    from hypernova.numeric import Floats, Ints
    from hypernova.training.clustering.clusters import Clusters
    from hypernova.training.estimates.stacking import StackingWeights
    from hypernova.training.estimates.sums import Sums
    from hypernova.training.partition import Partition, Source

# Weight of a cell's prior, in outcomes: how much of a cell's estimate counts is learned besides.
SHRINKAGE = 40.0
# Weights of the ridge regressions that are averaged.
RIDGES = (10.0, 30.0, 100.0, 300.0)
# The estimates that are averaged: that of the cells, and the ridge regressions.
ESTIMATES = ("cells", *(f"ridge_{weight:g}" for weight in RIDGES))


@dataclass(frozen=True)
class Setting:
    """Cells, weights and guard, as chosen on held-out tasks.

    Attributes:
        source: Whether cells are clusters of ``"prompts"`` or ``"groups"``.
        clusters: Number of clusters.
        guard_z: Standard errors of the guard.
        weights: Weights of the `ESTIMATES`.
        group_weights: Weights of the `ESTIMATES` where a prompt's group is known, and that of the
            cells is the group's own. None where tasks have no groups.
        margin: Part of an estimated gain in success that does not count.
    """

    source: Source
    clusters: int
    guard_z: float
    weights: StackingWeights
    group_weights: StackingWeights | None = None
    margin: float = 0.0

    def to_dict(self) -> dict[str, object]:
        """Return the setting as metadata of an artifact has it."""
        return {
            "source": self.source,
            "clusters": self.clusters,
            "guard_z": self.guard_z,
            "margin": self.margin,
            "weights": _named(self.weights),
            "group_weights": None if self.group_weights is None else _named(self.group_weights),
        }


def _named(weights: StackingWeights) -> dict[str, dict[str, float]]:
    """Return weights by the names of the estimates."""
    return {
        part: {name: round(weight, 4) for name, weight in zip(ESTIMATES, values, strict=True)}
        for part, values in (("contrast", weights.contrast), ("level", weights.level))
    }


@dataclass(frozen=True)
class TrainingPart:
    """Sums of tasks, and what is learned from them.

    Attributes:
        models: Names of the models.
        sums: Sums of outcomes and pairs by cell, of products and, for groups, of vectors.
        found: Clusters of the cells.
        group_names: Names of the groups that are cells, by their number; None for other cells. The
            rest has the number after, and no name.
        basis: Basis of the `Coordinates` whose products were summed.
    """

    models: Sequence[str]
    sums: Sums
    found: Clusters
    group_names: Sequence[str] | None = None
    basis: Floats | None = None

    @classmethod
    def of(
        cls, models: Sequence[str], sums: Sums, partition: Partition, basis: Floats | None
    ) -> TrainingPart:
        """Find the clusters of the cells, and learn."""
        names = None if partition.groups is None else partition.groups.names
        return cls(models, sums, partition.find_clusters(sums, basis), names, basis)

    @cached_property
    def evidence(self) -> Evidence:
        """Sums of the cells that have a cluster."""
        groups = self.found.groups
        return Evidence(self.sums if groups is None else self.sums.of_cells(groups))

    @cached_property
    def by_cell(self) -> Estimate:
        """Estimates of the cells, with the default model."""
        return estimate(self.evidence, SHRINKAGE)

    @cached_property
    def rates(self) -> Floats:
        """Overall success of each model, which estimates are differences from, float64 (m,)."""
        return self.evidence.pooled

    @cached_property
    def caution(self) -> Floats:
        """By how much other models than the default are lowered for holes, float64 (k, m).

        It is the standard error that holes add to the gain over the default model in a cell, its
        own holes included: where it was never tried, another model has to be clearly better.
        """
        error, default = self.evidence.completion.cell_error, self.evidence.default_model
        caution = np.hypot(error, error[:, [default]])
        caution[:, default] = 0.0
        return caution

    @cached_property
    def ridges(self) -> list[LinearCorrection]:
        """Ridge regressions with each weight of `RIDGES`."""
        return fit_ridges(self.sums, RIDGES, self.basis, self.evidence.overall)

    def sketch_basis(self) -> SketchBasis | None:
        """Find the directions in which the vectors of the tasks with an outcome differ most."""
        n, total, gram = (self.sums[f"level_{name}"] for name in ("n", "vector", "gram"))
        # The last bits of eigenvectors depend on the number of threads.
        with compute_threads(1):
            return SketchBasis.of_sums(float(n), total, gram, self.basis)

    def estimates(self, vectors: Floats, shares: Floats) -> Floats:
        """Return the `ESTIMATES` for vectors, as differences from the rates.

        Args:
            vectors: float32 (n, dim).
            shares: Of the clusters in the vectors, float64 (n, k).

        Returns:
            float32 (estimates, n, m).
        """
        cells = shares @ (self.by_cell.cluster_success - self.rates)
        found = [cells, *(vectors @ ridge.slopes.T + ridge.offsets for ridge in self.ridges)]
        return np.stack([values.astype(np.float32) for values in found])

    def of_groups(self, numbers: Ints | None) -> Floats | None:
        """Return the estimates of groups, as differences from the rates.

        Args:
            numbers: Of the groups, (n,); None gives None.

        Returns:
            float32 (n, m), NaN for the rest and for groups without tasks here.
        """
        if numbers is None or self.group_names is None:
            return None
        assert self.found.groups is not None
        rows = np.full((len(self.group_names) + 1, len(self.models)), np.nan, dtype=np.float32)
        rows[self.found.groups] = self.by_cell.cluster_success - self.rates
        rows[len(self.group_names)] = np.nan
        return rows[numbers]

    def estimated(self, weights: StackingWeights) -> Estimate:
        """Return the profile of the averaged estimates, with the default model."""
        none = np.zeros_like(self.by_cell.cluster_success)
        rows = weights.average([self.by_cell.cluster_success - self.rates, *([none] * len(RIDGES))])
        profile = self.by_cell.profile
        success = profile.success.copy()
        success[:-1] = np.clip(self.rates + rows - self.caution, 0.0, 1.0)
        return replace(self.by_cell, profile=replace(profile, success=success))

    def correction(self, weights: StackingWeights) -> LinearCorrection:
        """Return the linear corrections of the averaged estimates."""
        zero = np.zeros_like(self.ridges[0].slopes.T)
        slopes = weights.average([zero, *(ridge.slopes.T for ridge in self.ridges)])
        offsets = weights.average([zero[0], *(ridge.offsets for ridge in self.ridges)])
        return LinearCorrection(
            np.ascontiguousarray(slopes.T, dtype=np.float32), offsets.astype(np.float32)
        )

    @cached_property
    def _named_rows(self) -> NDArray[np.int64]:
        """Rows of the clusters whose group has a name, which the rest has not."""
        assert self.found.groups is not None
        assert self.group_names is not None
        return np.flatnonzero(self.found.groups < len(self.group_names))

    def group_profiles(self, weights: StackingWeights | None) -> GroupProfiles | None:
        """Return the averaged estimates of prompts whose group is known; None without groups.

        A group's success is that of its mean vector, so that the correction says how a prompt
        differs from it.
        """
        if self.group_names is None or weights is None:
            return None
        assert self.found.groups is not None
        rows = self._named_rows
        numbers = self.found.groups[rows]
        n = self.sums["group_n"][numbers]
        means = self.sums["group_vector"][numbers] / n[:, None]
        if self.basis is not None:
            means = means @ self.basis.T
        slopes = self.correction(weights).slopes
        at_mean = [means @ ridge.slopes.T + ridge.offsets for ridge in self.ridges]
        cells = self.by_cell.cluster_success[rows] - self.rates
        success = self.rates + weights.average([cells, *at_mean]) - self.caution[rows]
        return GroupProfiles(
            names=[self.group_names[number] for number in numbers],
            tasks=n.astype(np.float64),
            profile=replace(
                self.by_cell.profile.rows(rows),
                success=np.clip(success, 0.0, 1.0).astype(np.float32),
            ),
            offsets=-(means @ slopes.T.astype(np.float64)).astype(np.float32),
            slopes=slopes,
        )

    def token_profiles(self, *, with_groups: bool) -> TokenProfiles | None:
        """Return the tokens that the models read and write; None where none are known."""
        use = TokenUse.of(self.evidence.sums)
        if use is None:
            return None
        of_groups = None
        if with_groups and self.group_names is not None:
            rows = self._named_rows
            of_groups = use.input_tokens[rows], use.output_tokens[rows]
        return TokenProfiles(
            use.prompt_tokens, use.input_tokens, use.output_tokens, *(of_groups or (None, None))
        )

    def artifact(
        self,
        setting: Setting,
        *,
        cost_weight: float = 0.0,
        distances: Floats | None = None,
        identity: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Artifact:
        """Assemble the artifact; arguments as in `assemble`."""
        return assemble(
            self.models,
            self.found,
            self.estimated(setting.weights),
            shrinkage=SHRINKAGE,
            guard_z=setting.guard_z,
            margin=setting.margin,
            correction=self.correction(setting.weights),
            groups=self.group_profiles(setting.group_weights),
            tokens=self.token_profiles(with_groups=setting.group_weights is not None),
            cost_weight=cost_weight,
            distances=distances,
            identity=identity,
            metadata=metadata,
        )
