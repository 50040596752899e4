"""Build the bundled artifact from an outcome table, or check that it is unchanged.

    python models/build_artifact.py TABLE [--check]

The table is SWE-bench Verified's (docs/datasets.md), which is not part of the project; the
artifact holds only numbers and model names of it. The same table, versions of numpy, onnxruntime
and faiss, and kind of CPU give the same bytes; another CPU may round a centroid differently, and
then ``--check`` prints the differences.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import hypernova

BUNDLED = Path(__file__).parent.parent / "python" / "hypernova" / "bundled" / "default.hnv"
SEED = 0


def main() -> int:
    """Build or check, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", help="the outcome table of SWE-bench Verified")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    arguments = parser.parse_args()
    table = hypernova.OutcomeTable.read(arguments.table)
    built = hypernova.fit(
        table, embedder="static", seed=SEED, describe=False, progress=sys.stderr.isatty()
    )
    print(f"built    {built.sha256}")
    if not arguments.check:
        built.save(BUNDLED)
        return 0
    bundled = hypernova.Artifact.open(BUNDLED)
    print(f"bundled  {bundled.sha256}")
    if built.to_bytes() == bundled.to_bytes():
        print("identical, byte for byte")
        return 0
    if built.centroids.shape != bundled.centroids.shape or built.models != bundled.models:
        print("different: other clusters or models")
        return 1
    print(f"centroids differ by at most {np.abs(built.centroids - bundled.centroids).max():.3g}")
    print(f"estimates differ by at most {np.abs(built.success - bundled.success).max():.3g}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
