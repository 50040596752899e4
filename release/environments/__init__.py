"""The interpreters and platforms in which wheels are run.

Each is made under ``build/environments`` when it is first asked for, and kept: delete the folder to
make it again. Nothing of this checkout is on the path of an interpreter there.
Not here: what is run in them (``release.run_wheels``).

- ``catalogue``: their names, and what each consists of
- ``interpreters``: CPython of this machine, or built from Debian's source packages
- ``roots``: root folders of Debian and Ubuntu, run with chroot, and with qemu for other processors
- ``installed``: a wheel and its libraries, installed for an environment
- ``selection``: the tests that are run where
"""
