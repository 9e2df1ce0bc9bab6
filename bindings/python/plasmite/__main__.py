"""`python -m plasmite` is `plasmite`."""

import sys

from ._cli import main

sys.exit(main())
