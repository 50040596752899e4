"""Give LiteLLM's proxy its callback: config.yaml names `hypernova_hook.hook`.

Not here: the models, which are in config.yaml, and the estimates, which are in the artifact.
"""

import os

import hypernova
from hypernova.integrations.litellm import RoutingHook

router = hypernova.Router.open(os.environ["HYPERNOVA_ARTIFACT"], watch=True)
hook = RoutingHook(router, alias="hypernova", cost_weight=0.5)
