"""Learn a routing artifact from outcomes.

Not here: code that serving needs; nothing that routes imports this package.

Public are only the names that ``hypernova`` exports: `fit`, `recalibrate`, `add_model`,
`next_prompts`, `remove_model`, `rename_model` and the types that they return. Modules and
functions of this package may change in any version.

- ``fit``: from an outcome table to an artifact
- ``embedding``: vectors of a table's prompts
- ``trainer``: from a table with vectors to what is learned from it
- ``partition``: cells of tasks: groups, or clusters of prompts
- ``placed_tasks``: tasks with their places in cells, and the sums that they give
- ``training_part``: what is learned from sums, and the setting that is chosen
- ``assemble``: from these to an artifact
- ``model_selection``: the setting, chosen on held-out tasks
- ``margin``: the part of an estimated gain that does not count, from claimed and real gains
- ``cross_validation``: the training part of each fold, by subtraction
- ``held_out_scores``: outcomes of the models chosen for held-out tasks
- ``frontier``: the cost weights under which a router is judged
- ``cost_weight``: the cost weight that meets a target on held-out tasks
- ``sample``: the tasks of a large table that select the setting and give the clusters
- ``pieces``: the sums of a table that is not held in memory
- ``memory``: memory that was freed goes back to the system
- ``checks``: arguments that fitting and evaluation share
- ``clustering``: clusters of prompts, and their description
- ``estimates``: each model's success in each cluster
- ``shared_text``: text that many prompts share, and its effect
- ``online``: recalibration by an outcome log
- ``model_pool``: models that join an artifact, leave it or are renamed, without fitting again
"""

from hypernova.training.fit import fit
from hypernova.training.online.recalibrate import ModelChange, Recalibration, recalibrate

__all__ = ["ModelChange", "Recalibration", "fit", "recalibrate"]
