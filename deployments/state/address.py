"""Where the state lives: the URL forms of a single server, a primary behind sentinels, and a cluster.

``redis://``, ``rediss://``                     ``[user:password@]host[:port][/database]``
``redis+sentinel://``, ``rediss+sentinel://``   ``[user:password@]host[:port],.../primary[/database]``
``redis+cluster://``, ``rediss+cluster://``     ``[user:password@]host[:port],...``

The schemes with two s speak TLS, with the sentinels, too. The credentials are those of the servers with the data.
After a ``?`` they take the paths of files: ``password=`` the password, as a mounted secret; ``ca=`` whom to trust
instead of the system's authorities, and ``cert=`` with ``key=`` what to show for oneself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

Topology = Literal["single", "sentinel", "cluster"]

_TOPOLOGIES: dict[str, Topology] = {"": "single", "sentinel": "sentinel", "cluster": "cluster"}
_DEFAULT_PORTS: dict[Topology, int] = {"single": 6379, "sentinel": 26379, "cluster": 6379}


@dataclass(frozen=True, slots=True)
class StateAddress:
    """A parsed URL. ``hosts`` are the server, the sentinels, or some nodes of the cluster.

    ``password_file`` is a path, and ``ca``, ``certificate`` and ``private_key`` are paths of PEM files.
    """

    topology: Topology
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    username: str | None = None
    password: str | None = None
    primary: str = ""
    database: int = 0
    password_file: str | None = None
    ca: str | None = None
    certificate: str | None = None
    private_key: str | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises :class:`ValueError`, whose message does not hold the URL, since that may hold a password."""
        scheme, _, rest = url.partition("://")
        protocol, _, kind = scheme.partition("+")
        topology = _TOPOLOGIES.get(kind)
        if protocol not in {"redis", "rediss"} or topology is None or not rest:
            raise ValueError("expected embedded, or a redis, rediss, redis+sentinel or redis+cluster URL")
        rest, _, query = rest.partition("?")
        authority, _, path = rest.partition("/")
        credentials, _, hosts = authority.rpartition("@")
        username, _, password = credentials.partition(":")
        primary, database = _split_path(topology, path)
        files = _split_query(query, tls=protocol == "rediss")
        if password and "password" in files:
            raise ValueError("the password is given twice")
        return cls(
            topology=topology,
            tls=protocol == "rediss",
            hosts=_split_hosts(topology, hosts),
            username=unquote(username) or None,
            password=unquote(password) or None,
            primary=primary,
            database=database,
            password_file=files.get("password"),
            ca=files.get("ca"),
            certificate=files.get("cert"),
            private_key=files.get("key"),
        )

    def read_password(self) -> str | None:
        """The password, which may be in a file. Raises :class:`ValueError` when that cannot be read."""
        if self.password_file is None:
            return self.password
        try:
            return Path(self.password_file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the password of the state's URL cannot be read: {error}") from None


def redact(url: str) -> str:
    """``url`` as it may be shown: with its password, if any, replaced."""
    scheme, separator, rest = url.partition("://")
    address, mark, query = rest.partition("?")
    credentials, at, place = address.rpartition("@")
    username, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{username}:***{at}{place}{mark}{query}" if colon else url


def _split_hosts(topology: Topology, hosts: str) -> tuple[tuple[str, int], ...]:
    addresses = tuple(_split_host(host, _DEFAULT_PORTS[topology]) for host in hosts.split(","))
    if topology == "single" and len(addresses) > 1:
        raise ValueError("several hosts need a redis+sentinel or redis+cluster URL")
    return addresses


def _split_host(host: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{host}")
    try:
        port = parts.port or default_port
    except ValueError:
        raise ValueError("expected host or host:port") from None
    if not parts.hostname or parts.path or parts.query or parts.fragment:
        raise ValueError("expected host or host:port")
    return parts.hostname, port


def _split_path(topology: Topology, path: str) -> tuple[str, int]:
    """The primary's name and the number of the database."""
    primary: str = ""
    database = path
    if topology == "sentinel":
        primary, _, database = path.partition("/")
        if not primary:
            raise ValueError("a redis+sentinel URL ends in the name of its primary: host:port,host:port/primary")
    if topology == "cluster" and database:
        raise ValueError("a redis+cluster URL has no path: a cluster has one database")
    if database and not database.isdecimal():
        raise ValueError("the database is a number")
    return primary, int(database or 0)


def _split_query(query: str, *, tls: bool) -> dict[str, str]:
    """Paths by their names."""
    files = dict(parse_qsl(query, keep_blank_values=True))
    if not files.keys() <= {"password", "ca", "cert", "key"} or not all(files.values()) or (query and not files):
        raise ValueError("after the ? a URL has password, ca, cert and key, each with a path")
    if not tls and files.keys() - {"password"}:
        raise ValueError("certificates need a rediss URL")
    if ("cert" in files) != ("key" in files):
        raise ValueError("cert and key go together")
    return files
