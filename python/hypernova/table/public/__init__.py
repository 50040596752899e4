"""Public outcome data, read from the files that their authors publish.

Not here: downloading. `PUBLIC_SOURCES` says where the files are; the user fetches them.
"""

from __future__ import annotations

from hypernova.table.public.headline import Discrepancy, PublicTable
from hypernova.table.public.routerbench import read_routerbench
from hypernova.table.public.sources import PUBLIC_SOURCES, PublicSource
from hypernova.table.public.swebench import read_swebench

__all__ = [
    "PUBLIC_SOURCES",
    "Discrepancy",
    "PublicSource",
    "PublicTable",
    "read_routerbench",
    "read_swebench",
]
