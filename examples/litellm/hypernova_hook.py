"""Give LiteLLM's proxy its callback: config.yaml names `hypernova_hook.ranked`.

Not here: the models, which are in config.yaml, and the estimates, which are in the artifact.
"""

import os

import hypernova
from hypernova.integrations.litellm import Ranked

router = hypernova.Router.open(os.environ["HYPERNOVA_ARTIFACT"], watch=True)
ranked = Ranked(router, alias="hypernova", cost_weight=0.5)
