"""Serving: from a text, a conversation or a vector to a decision.

Not here: how an artifact comes to be; serving imports nothing of training.
"""

from hypernova.router.conversation import turns_of
from hypernova.router.form import as_dict
from hypernova.router.router import BUNDLED_ARTIFACT, Router
from hypernova.router.wishes import Wishes

__all__ = ["BUNDLED_ARTIFACT", "Router", "Wishes", "as_dict", "turns_of"]
