"""What LiteLLM's proxy loads: `hypernova_hook.ranked` in config.yaml.

Not here: the models, which are in config.yaml, and what is learned, which is in the artifact.
"""

import os

import hypernova
from hypernova.integrations.litellm import Ranked

router = hypernova.Router.open(os.environ["HYPERNOVA_ARTIFACT"], watch=True)
ranked = Ranked(router, alias="hypernova", cost_weight=0.5)
