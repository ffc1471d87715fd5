"""API keys: ``dllm_<environment>_<id>_<secret>``.

The id is 8 characters and public. The secret is 32 random bytes in base 62 and a checksum of 6 characters, by which a
mistyped key or one found by a scanner is told from an accident without a look-up.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from zlib import crc32

DEVELOPMENT = "dev"

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 8, 43, 6

ENVIRONMENT = r"[a-z0-9]{1,16}"
"""What an environment's name matches."""

KEY_ID = rf"[0-9A-Za-z]{{{_ID_LENGTH}}}"
"""What the id of a key matches."""

_KEY = re.compile(rf"dllm_({ENVIRONMENT})_({KEY_ID})_[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECKSUM_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as a client sends it: well formed, which does not mean that it is valid. ``text`` is the whole of it."""

    environment: str
    id: str
    text: str = field(repr=False)

    @property
    def digest(self) -> str:
        """What is kept of it. A fast hash is enough, since nobody can try 2^256 secrets."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def make_key(environment: str, entropy: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A new key. ``entropy(n)`` gives ``n`` random bytes. Raises :class:`ValueError` for a bad name."""
    if not re.fullmatch(ENVIRONMENT, environment):
        raise ValueError("an environment has up to 16 lower-case letters and digits")
    public = _base62(entropy(8), _ID_LENGTH)
    secret = _base62(entropy(32), _SECRET_LENGTH)
    stem = f"dllm_{environment}_{public}_{secret}"
    return stem + _checksum(stem)


def parse_key(text: str) -> ApiKey:
    """The key that ``text`` is. Raises :class:`ValueError`, whose message does not hold the text."""
    match = _KEY.fullmatch(text)
    if match is None:
        raise ValueError("expected a key of the form dllm_<environment>_<id>_<secret>")
    if _checksum(text[:-_CHECKSUM_LENGTH]) != text[-_CHECKSUM_LENGTH:]:
        raise ValueError("the checksum of the key is wrong: some of its characters are not those that were made")
    return ApiKey(match[1], match[2], text)


def digest_of(key: str) -> str:
    """The hex SHA-256 of a whole key. Raises :class:`ValueError` as :func:`parse_key` does."""
    return parse_key(key).digest


def _checksum(stem: str) -> str:
    return _base62(crc32(stem.encode()).to_bytes(4, "big"), _CHECKSUM_LENGTH)


def _base62(data: bytes, length: int) -> str:
    """The ``length`` lowest digits of ``data`` as one number."""
    number, digits = int.from_bytes(data, "big"), ""
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
