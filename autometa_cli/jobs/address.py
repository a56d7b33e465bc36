"""What a REDIS_URL says: where Redis is to be found, as whom to log in, and whom to trust.

    redis://[user:password@]host[:port][/db]            one server
    rediss://…                                          the same over TLS
    unix:///path/of/socket[?db=N]
    redis+sentinel://[…@]host[:26379],…/service[/db]    the primary that the Sentinels name
    redis+cluster://[…@]host[:port],…                   the node of a Cluster that holds the queue

docs/redis.md lists the parameters that may follow a `?`.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote

from autometa_cli.errors import ConfigError
from autometa_cli.secrets import redact_url

Kind = Literal["server", "socket", "sentinel", "cluster"]
Place = tuple[str, int]

_KINDS: dict[str, Kind] = {
    "redis": "server",
    "rediss": "server",
    "unix": "socket",
    "redis+sentinel": "sentinel",
    "redis+cluster": "cluster",
}
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS_OPTIONS = (*_TLS_FILES, "ssl_password", "ssl_cert_reqs", "ssl_check_hostname")
_OPTIONS: dict[Kind, tuple[str, ...]] = {
    "server": ("db", "username", "password", *_TLS_OPTIONS),
    "socket": ("db", "username", "password"),
    "sentinel": (
        "db",
        "username",
        "password",
        "sentinel_username",
        "sentinel_password",
        "ssl",
        *_TLS_OPTIONS,
    ),
    "cluster": ("username", "password", "ssl", *_TLS_OPTIONS),
}
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class Login:
    """User and password; empty where there is none."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def options(self) -> dict[str, str]:
        """As redis-py's connections take it."""
        return {k: v for k, v in (("username", self.username), ("password", self.password)) if v}


@dataclass(frozen=True, slots=True)
class Address:
    """A REDIS_URL, taken apart.

    Attributes:
        hosts: the server, the Sentinels, or nodes of the Cluster; empty for a socket.
        service: what the Sentinels call the primary.
        login: of the servers that hold data; `sentinel_login` of the Sentinels.
        tls: how to check certificates and which to show; None speaks in the clear.
        shown: the URL without its secrets.
    """

    kind: Kind
    shown: str
    hosts: tuple[Place, ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    login: Login = Login()
    sentinel_login: Login = Login()
    tls: ssl.SSLContext | None = None


def parse(url: str) -> Address:
    """Take a REDIS_URL apart; reads the files that it names for TLS.

    Raises:
        ConfigError: it is malformed, has an unknown parameter, or names a file that is of no use.
    """
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    kind = _KINDS.get(scheme)
    if not separator or kind is None:
        raise ConfigError(f"REDIS_URL does not begin with {', '.join(f'{each}://' for each in _KINDS)}")
    rest, _, query = rest.partition("?")
    authority, path = _split(kind, rest)
    login, _, hosts = authority.rpartition("@")
    username, _, password = login.partition(":")
    options = _parameters(kind, query)
    service, db = _service_and_db(kind, path, options)
    return Address(
        kind=kind,
        shown=redact_url(url),
        hosts=() if kind == "socket" else _places(kind, hosts),
        path=unquote(path) if kind == "socket" else "",
        service=service,
        db=db,
        login=Login(
            options.get("username") or unquote(username), options.get("password") or unquote(password)
        ),
        sentinel_login=Login(options.get("sentinel_username", ""), options.get("sentinel_password", "")),
        tls=_tls(scheme, options),
    )


def _split(kind: Kind, rest: str) -> tuple[str, str]:
    if kind == "socket":
        login, at, path = rest.rpartition("@")
        return login + at, path
    authority, slash, path = rest.partition("/")
    return authority, slash + path


def _parameters(kind: Kind, query: str) -> Mapping[str, str]:
    known = _OPTIONS[kind]
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise ConfigError(
                f"REDIS_URL has an unknown parameter behind its question mark: {name[:30]}",
                f"known here: {', '.join(known)}; docs/redis.md explains them",
            )
        found[name] = value
    return found


def _service_and_db(kind: Kind, path: str, options: Mapping[str, str]) -> tuple[str, int]:
    parts = [part for part in path.split("/") if part] if kind != "socket" else []
    service = ""
    if kind == "sentinel":
        if not parts:
            raise ConfigError("REDIS_URL must name the service: redis+sentinel://host:26379/mymaster/0")
        service = unquote(parts.pop(0))
    text = options.get("db") or (parts[0] if parts else "0")
    if len(parts) > 1 or not re.fullmatch(r"[0-9]{1,4}", text):
        raise ConfigError("REDIS_URL has something other than a database number at its end")
    if kind == "cluster" and int(text):
        raise ConfigError(f"REDIS_URL names database {int(text)}; a Redis Cluster has database 0 only")
    return service, int(text)


def _places(kind: Kind, hosts: str) -> tuple[Place, ...]:
    found = []
    for text in hosts.split(","):
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9_.-]+))(?::([0-9]{1,5}))?", text)
        port = int(match[3] or (26379 if kind == "sentinel" else 6379)) if match else 0
        if not match or not 1 <= port <= 65535:
            raise ConfigError("REDIS_URL has a missing or malformed host or port")
        found.append((match[1] or match[2], port))
    if kind == "server" and len(found) > 1:
        raise ConfigError(
            "REDIS_URL names several servers", "several belong to redis+sentinel:// or redis+cluster://"
        )
    return tuple(found)


def _tls(scheme: str, options: Mapping[str, str]) -> ssl.SSLContext | None:
    if not (scheme == "rediss" or _flag("ssl", options, False)):
        if given := [name for name in _TLS_OPTIONS if name in options]:
            raise ConfigError(
                f"REDIS_URL has {given[0]}, but does not ask for TLS",
                "write rediss:// for one server; add ssl=true for Sentinel and Cluster",
            )
        return None
    for name in _TLS_FILES:
        path = options.get(name)
        if path and not (os.path.isfile(path) and os.access(path, os.R_OK)):
            raise ConfigError(f"REDIS_URL: {name} is {path}, which is no file that can be read")
    # Where a CA is named, it alone is trusted: the public ones have no say in a private network.
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
    except ssl.SSLError:
        raise ConfigError(
            f"REDIS_URL: ssl_ca_certs is {options['ssl_ca_certs']}, which holds no certificate (PEM)"
        ) from None
    needed = options.get("ssl_cert_reqs", "required")
    if needed not in ("required", "none"):
        raise ConfigError("REDIS_URL: ssl_cert_reqs is neither required nor none")
    context.check_hostname = needed == "required" and _flag("ssl_check_hostname", options, True)
    context.verify_mode = ssl.CERT_REQUIRED if needed == "required" else ssl.CERT_NONE
    certificate, key = options.get("ssl_certfile"), options.get("ssl_keyfile")
    if key and not certificate:
        raise ConfigError("REDIS_URL has ssl_keyfile without ssl_certfile")
    if certificate:
        _show(context, certificate, key, options.get("ssl_password", ""))
    return context


def _show(context: ssl.SSLContext, certificate: str, key: str | None, password: str) -> None:
    try:
        # Without a password OpenSSL would ask the terminal for it.
        context.load_cert_chain(certificate, key, password=password)
    except ssl.SSLError as error:
        belong = "KEY_VALUES_MISMATCH" in str(error)
        raise ConfigError(
            f"REDIS_URL: the key does not belong to the certificate {certificate}"
            if belong
            else f"REDIS_URL: ssl_certfile ({certificate}) and ssl_keyfile ({key or 'the same file'}) "
            "are no certificate and key (PEM), or ssl_password is not the key's"
        ) from None


def _flag(name: str, options: Mapping[str, str], default: bool) -> bool:
    text = options.get(name, "").lower()
    if text and text not in _TRUTH:
        raise ConfigError(f"REDIS_URL: {name} is neither true nor false")
    return _TRUTH[text] if text else default
