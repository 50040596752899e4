"""All that makes and checks a release; each module is run as `python -m release.NAME`.

- `check`: says what a release still lacks (`make release-check`); its checks are in `checks/`.

Not here: the package itself, its tests and its benchmarks.
"""
