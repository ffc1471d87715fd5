"""API keys: ``dllm_<environment>_<id>_<secret>``.

The id is 8 characters and public. The secret is 32 random bytes in base 62 and a checksum of 6 characters, by which a
mistyped key or one found by a scanner is told from an accident without a look-up.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable
from zlib import crc32

DEVELOPMENT = "dev"

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 8, 43, 6


def make_key(environment: str, entropy: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A new key. ``entropy(n)`` gives ``n`` random bytes."""
    public = _base62(entropy(8), _ID_LENGTH)
    secret = _base62(entropy(32), _SECRET_LENGTH)
    stem = f"dllm_{environment}_{public}_{secret}"
    return stem + _base62(crc32(stem.encode()).to_bytes(4, "big"), _CHECKSUM_LENGTH)


def _base62(data: bytes, length: int) -> str:
    """The ``length`` lowest digits of ``data`` as one number."""
    number, digits = int.from_bytes(data, "big"), ""
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
