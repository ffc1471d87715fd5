"""What a client may have of a gRPC connection: Ray Serve bounds the size of a message only."""

from __future__ import annotations

from collections.abc import Sequence

METADATA_BYTES = 16 << 10
CALLS_OF_A_CONNECTION = 256

OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_metadata_size", METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", METADATA_BYTES),
    ("grpc.max_concurrent_streams", CALLS_OF_A_CONNECTION),
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 300_000),
    # Calls that are under way go on; the next one looks where the gateways are. So connections spread over new ones,
    # and have left one that drains before it ends: Ray Serve's proxies drain for 30 s at least.
    ("grpc.max_connection_age_ms", 25_000),
    # A client that has vanished without a word is noticed within 80 s, and its calls end.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)
"""As grpc_types.h of gRPC's core describes them. A message counts by its size once it is decompressed."""


def bound_calls() -> None:
    """Have Ray Serve's gRPC servers in this process keep to ``OPTIONS``. To be called before they listen."""
    from ray.serve._private import grpc_util

    grpc_util.DEFAULT_GRPC_SERVER_OPTIONS = [*grpc_util.DEFAULT_GRPC_SERVER_OPTIONS, *OPTIONS]
