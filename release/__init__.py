"""Make and check a release. Run from the root of the repository: ``python -m release.NAME``.

Each command has ``--help`` and prints its steps; for a fault it prints one line and ends with
code 1. Only the standard library is needed by those that build: tools are installed into
``build/release-venv``.
Not here: the package itself, and tests (``tests/release/``).

- ``check``: say what a release still lacks (`make release-check`); ``checks``: each of its checks
- ``wheels``: build and audit the sdist and the wheels (`make wheels`)
- ``reproduce``: build twice in two places and compare the bytes (`make reproduce`)
- ``sdist``: build and test from the sdist and from the core's crate alone (`make test-sdist`)
- ``run_wheels``: run the wheels on their platforms; ``environments``: those platforms
- ``first_minutes``: walk three ways of a newcomer in empty environments (`make first-minutes`)
- ``contents``: check the files of an sdist or a wheel
- ``audit``: check a wheel's tags and symbols with the tools that packagers use
- ``licences``: the licence texts of the crates in the compiled core, in ``licences/crates.md``
- ``bill``: the bill of materials that each wheel brings, in ``licences/hypernova-router.cdx.json``
- ``sizes``: what the wheel and an installation of it take on disk, by package
- ``crates``: the crates that are linked into the compiled core
- ``build``: the environment, the source and the calls of a build
- ``targets``: the platforms that wheels are built for
- ``tools``: the environment of the tools, commands, and faults
"""
