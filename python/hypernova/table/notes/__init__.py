"""Say in notes what is odd about a table: signs that it is not what its rows say.

Not here: malformed tables, which `checks` refuses, and what the figures of an evaluation mean.

- ``notes``: the sentences, and which of them a table gets
- ``agreement``: models that hardly agree with the others on which tasks are hard
- ``scores``: constant models, identical models, scores that look like percentages
- ``costs``: costs that are about a thousand times too high or too low
"""

from __future__ import annotations

from hypernova.table.notes.notes import table_notes

__all__ = ["table_notes"]
