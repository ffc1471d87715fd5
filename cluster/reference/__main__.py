"""``python -m cluster.reference > docs/configuration.md`` writes the configuration reference."""

from __future__ import annotations

import sys

from cluster.reference.page import page

if __name__ == "__main__":
    sys.stdout.write(page())
