"""``python -m huddle3d``."""

import sys

from huddle3d.cli import main

sys.exit(main())
