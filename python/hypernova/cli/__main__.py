"""Run the command line as `python -m hypernova.cli`."""

import sys

from hypernova.cli import main

sys.exit(main())
