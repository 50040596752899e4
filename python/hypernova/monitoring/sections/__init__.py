"""The sections of a monitoring report, each from the observations of a log.

Not here: the statistics (see the modules above), and the forms for people.

- ``calibration``: predicted against observed success, by model and by cluster; changes
- ``routing_gain``: the gain over the default model, or how much exploration would tell it
- ``drift``: novelty and mix of the prompts against training
- ``amounts``: cost and latency against the profile
- ``shadow``: a shadow artifact beside the one that answered
"""
