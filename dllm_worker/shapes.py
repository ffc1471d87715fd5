"""The few row counts that matrix products see.

A product of few rows takes another kernel than one of many, with other rounding: on the CPU, fp32 rows came out
equal from 16 rows up and differed below (one thread). Padding to a bucket keeps a lone request on the same path.
"""

from __future__ import annotations

ROW_BUCKET = 32


def bucketed(rows: int) -> int:
    """The smallest multiple of ``ROW_BUCKET`` that holds ``rows``."""
    return -(-rows // ROW_BUCKET) * ROW_BUCKET
