"""What the user of the state may do: the commands that are used, on the names that are used, and nothing else."""

from __future__ import annotations

from hashlib import sha256

from deployments.state.address import StateAddress, Topology
from deployments.state.keys import PATTERN

_SCRIPTS = ("del", "eval", "exists", "expire", "get", "hget", "hincrby", "hmget", "hset", "set", "xadd", "zscore")
_CALLS = ("hgetall", "hmget", "ping", "xdel", "xrange", "xread", "zadd", "zrangebyscore", "zrem")
_DIRECTORY = ("del", "eval", "hdel", "hget", "hset", "hvals", "sadd", "smembers", "srem", "xadd", "xread", "xrevrange")
_LEDGER = ("eval", "expire", "hgetall", "hincrby", "sadd", "xadd", "xrange")
_LIMITS = (
    *("del", "eval", "exists", "expire", "hget", "hgetall", "hset"),
    *("time", "zadd", "zcard", "zrem", "zremrangebyscore"),
)
_QUEUE = (
    *("del", "eval", "expire", "hdel", "hget", "hincrby", "hset", "hsetnx", "xadd", "xread", "zadd", "zcard"),
    *("zrange", "zrangebylex", "zrangebyscore", "zrem", "zremrangebyscore", "zscore"),
)
_CONNECTION: dict[Topology, tuple[str, ...]] = {
    "single": (),
    "sentinel": (),
    "cluster": ("cluster|slots", "command", "command|getkeys"),
}


def commands(address: StateAddress) -> frozenset[str]:
    """The commands that a store at ``address`` sends, and that its scripts call; ``container|subcommand`` for some."""
    select = ("select",) if address.database else ()
    tenancy = (*_DIRECTORY, *_LEDGER, *_LIMITS, *_QUEUE)
    return frozenset((*_SCRIPTS, *_CALLS, *tenancy, *_CONNECTION[address.topology], *select))


def acl_rule(address: StateAddress) -> str:
    """The user of ``address`` as ``ACL SETUSER`` and the ``user`` lines of a server's configuration take it.

    The password is given as its SHA-256. Raises :class:`ValueError` when the address names no user or no password.
    """
    password = address.read_password()
    if address.username is None or not password:
        raise ValueError("an access rule needs a URL with a user and a password")
    digest = sha256(password.encode()).hexdigest()
    granted = " ".join(f"+{command}" for command in sorted(commands(address)))
    return f"{address.username} reset on #{digest} ~{PATTERN} {granted}"
