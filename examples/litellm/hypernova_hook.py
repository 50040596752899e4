"""What LiteLLM's proxy loads: `hypernova_hook.hook` in config.yaml.

Not here: the models, which are in config.yaml, and what is learned, which is in the artifact.
"""

import os

import hypernova
from hypernova.integrations.litellm import RoutingHook

router = hypernova.Router.open(os.environ["HYPERNOVA_ARTIFACT"], watch=True)
hook = RoutingHook(router, alias="hypernova", cost_weight=0.5)
