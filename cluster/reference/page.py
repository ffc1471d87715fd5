"""The configuration reference as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.reference.schema import Key, Part, parts
from deployments.config import ClusterConfig

OPENING = """\
# Configuration

Written by `python -m cluster.reference`; do not edit it. [`cluster.yaml`](../cluster.yaml) is the same tree with every
key at its default.

A cluster is configured by one YAML file, the same on a laptop and in production. `dllm up --config FILE` starts it, and
`dllm config check FILE` says whether it is valid. What is left out has its default. An unknown key, a key that is given
twice, or a value of another type is refused with its full path, as in `models.0.pools.0.replicaz: unknown key`; `8000`
is an integer and `"8000"` is none.

Keys that end in `_seconds` are in seconds. A *position-forward* is one position through one forward pass.

## Secrets

A secret is given by the path of a file, which the platform mounts, and never by its value where others can read it:

| secret | by reference |
|---|---|
| the operator's key | `admin.key_file` |
| the password of the state server | `state.url`, as in `redis://user@host:6379/0?password=/run/secrets/state` |
| certificates towards it | the same: `ca=` whom to trust, `cert=` and `key=` what to show |
| keys of tenants | `tenancy_file`, or `id` and `sha256` in `keys`; or none at all, and `dllm keys create` |
| credentials of a trace collector | the variables `OTEL_EXPORTER_OTLP_*` |

## Addresses of the state server

| `state.url` | |
|---|---|
| `embedded` | a Valkey server that is started and stopped with the cluster, on this machine only |
| `redis://[user:password@]host[:port][/database]` | one server |
| `redis+sentinel://[user:password@]host[:port],.../primary[/database]` | a primary behind sentinels |
| `redis+cluster://[user:password@]host[:port],...` | a cluster |

`rediss://`, `rediss+sentinel://` and `rediss+cluster://` speak TLS. `dllm config acl` prints the access rule that a
server has to give the user.

## On Kubernetes

The chart's value `config` is this tree. It becomes the argument of the application in the RayService's `serveConfigV2`,
so it is refused there if it holds a secret by value, port 0, or the state server `embedded`. These keys are the chart's
own to write, and refused in `config`:

| key | follows from |
|---|---|
| `http.host`, `admin.host` | every interface of the pod |
| `admin.key`, `admin.key_file` | `admin.existingSecret`, or a Secret that the chart makes |
| `state.url` | `externalRedis`, or `valkey.enabled` |
| `tenancy_file` | `tenants.existingSecret` |
| `gateway.labels` | the pods of `gateways` |
| `gateway.drain_seconds` | `ray.drainSeconds` |
| `ray.address`, `ray.dashboard` | KubeRay |

`telemetry.traces` follows from `collector.enabled`, `grpc.port` from `service.grpc`, and to the labels of each pool's
`accelerator` the chart adds that of its `workers`.
"""


def page() -> str:
    """All of it. It ends in a line break."""
    return "\n".join([OPENING, *map(_section, parts(ClusterConfig))]).rstrip() + "\n"


def _section(part: Part) -> str:
    title = f"`{part.path}`" if part.path else "The root"
    depth = "#" * min(2 + part.path.count("."), 4)
    return "\n".join([f"{depth} {title}", "", part.meaning, "", *_table(part), ""])


def _table(part: Part) -> Iterator[str]:
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for key in part.keys:
        cells = (f"`{key.name}`", _linked(key), key.default, key.meaning.replace("\n\n", " "))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _linked(key: Key) -> str:
    if key.section is None:
        return key.kind
    word = "sections" if "sections" in key.kind else "section"
    return key.kind.replace(word, f"[{word}](#{anchor(key.section)})")


def anchor(path: str) -> str:
    """The fragment of the heading of the section at ``path``, as GitHub makes it: without punctuation."""
    return "".join(letter for letter in path.lower() if letter.isalnum() or letter in "_-")
