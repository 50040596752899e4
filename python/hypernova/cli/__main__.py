"""`python -m hypernova.cli`: the command without its script."""

import sys

from hypernova.cli import main

sys.exit(main())
