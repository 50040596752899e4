"""Make and check a release. Run from the root of the repository: ``python -m release.NAME``.

- ``first_minutes``: walk three ways of a newcomer in empty environments (`make first-minutes`)

Not here: the package itself, and tests (``tests/release/``).
"""
