"""Change which models an artifact chooses from, without fitting it again.

Not here: clusters and the columns of the known models; both stay as they are.

- ``prior``: prior and posterior of a new model's success, given the known models
- ``vectors``: vectors of prompts, with the artifact's embedder
- ``columns``: rows of clusters and groups, costs and tokens of a new model
- ``add``: add models from their outcomes on some prompts
- ``change``: remove and rename models
- ``propose``: which prompts to score next
"""

from hypernova.training.model_pool.add import AddedModel, Addition, add_model
from hypernova.training.model_pool.change import remove_model, rename_model
from hypernova.training.model_pool.propose import Proposal, next_prompts

__all__ = [
    "AddedModel",
    "Addition",
    "Proposal",
    "add_model",
    "next_prompts",
    "remove_model",
    "rename_model",
]
