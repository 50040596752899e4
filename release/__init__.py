"""Make and check a release. Run from the root of the repository: ``python -m release.NAME``.

Not here: the package itself, and tests (``tests/release/``).

- ``licences``: the licence texts of the crates in the compiled core, in ``licences/crates.md``
- ``bill``: the bill of materials that each wheel brings, in ``licences/hypernova-router.cdx.json``
- ``sizes``: what the wheel and an installation of it take on disk, by package
- ``crates``: the crates that are linked into the compiled core
"""
