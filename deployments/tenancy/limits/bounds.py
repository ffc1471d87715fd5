"""How long what is counted is kept, so that nothing of it stays for ever."""

from __future__ import annotations

KEEP_SECONDS = 86_400
"""A reservation that is neither renewed nor settled for so long is forgotten; its charge stays spent."""

COUNTS_SECONDS = 35 * 86_400
"""The counts of a tenant that reserves nothing for so long are forgotten: longer than any month."""
