"""What the environment of each node's Ray has to hold: Ray and Serve read it when they are imported."""

from __future__ import annotations

from cluster.serving import SERVING_ENVIRONMENT
from deployments.config import ClusterConfig
from deployments.telemetry.config import TRACES_ENVIRONMENT

RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A proxy that died is found out by three failed checks: 3 s, where Ray's period of 10 s refuses clients for 29 s.
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "3",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "deployments.gateway.proxy:layers",
    # Of eight arenas for each core each keeps what its threads have freed: proxies and gateways grew without a leak.
    "MALLOC_ARENA_MAX": "2",
}


def node_environment(config: ClusterConfig) -> dict[str, str]:
    """The variables for the processes of Ray on every node of ``config``, wherever they run.

    The chart of ``helm/dllm-cluster`` gives its pods the same.
    """
    return {
        **RAY_ENVIRONMENT,
        **SERVING_ENVIRONMENT[config.ray.serving],
        **message_limits(config.http.max_body_bytes),
        TRACES_ENVIRONMENT: config.telemetry.traces.model_dump_json(),
    }


def message_limits(max_body_bytes: int) -> dict[str, str]:
    """How large a message may be before gRPC refuses it without a word of ours; the gateway refuses what is longer than
    a body may be. Text takes up to four times its bytes when it is escaped, and twice that among Ray's own processes.
    """
    return {
        "RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": str(4 * max_body_bytes),
        "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(8 * max_body_bytes),
    }
