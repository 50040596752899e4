"""Read public outcome data from the files that their authors publish.

Not here: downloads. `PUBLIC_DATASETS` says where the files are; the user fetches them.

- ``catalog``: the datasets, their sources and licences
- ``headline``: the figure that a dataset is known by, and a check against it
- ``routerbench``, ``swebench``: reading each dataset
"""

from __future__ import annotations

from hypernova.table.public.catalog import PUBLIC_DATASETS, PublicDataset
from hypernova.table.public.headline import Discrepancy, PublicTable
from hypernova.table.public.routerbench import read_routerbench
from hypernova.table.public.swebench import read_swebench

__all__ = [
    "PUBLIC_DATASETS",
    "Discrepancy",
    "PublicDataset",
    "PublicTable",
    "read_routerbench",
    "read_swebench",
]
