"""Change which models an artifact chooses from, without fitting it again.

Not here: clusters, which stay as they are, and what the known models achieved.

- ``prior``: what the known models say of one that is hardly tried
- ``vectors``: prompts to vectors, with the artifact's embedder
- ``add``, ``change``: add, remove and rename models
- ``propose``: which prompts to score next
"""

from hypernova.training.model_pool.add import Addition, add, add_model
from hypernova.training.model_pool.change import remove_model, rename_model
from hypernova.training.model_pool.propose import Proposal, next_prompts

__all__ = [
    "Addition",
    "Proposal",
    "add",
    "add_model",
    "next_prompts",
    "remove_model",
    "rename_model",
]
