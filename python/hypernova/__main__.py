"""Run the command line as `python -m hypernova`.

Not here: the command line itself (`hypernova.cli`).
"""

import sys

from hypernova_command import main

if __name__ == "__main__":
    sys.exit(main())
