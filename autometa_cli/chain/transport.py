"""One HTTP exchange with a JSON-RPC server: bytes out, bytes back, or one typed failure.

This is web3.py's asynchronous HTTP provider with three things replaced. Its retries are off, because they
repeat `eth_sendRawTransaction`. Its session is ours: web3's opens a connection for every request, hops
through a thread for each, and a cancelled request can leave its process-wide lock held for ever. And it
says nothing of its URL, which may hold an API key: not in `repr`, not in a log, not in an exception.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from time import time

import aiohttp
from eth_typing import URI
from web3 import AsyncHTTPProvider
from web3.types import RPCEndpoint

from autometa_cli.secrets import redact_url

#: Connections kept open to one server; exchanges are bounded by the endpoint already.
CONNECTIONS = 32
#: Seconds that an idle connection is kept. Shorter than the idle limit of common gateways (60 s), since a
#: connection that the server closes under a send makes its answer ambiguous.
KEEPALIVE = 15.0

# These write whole URLs at DEBUG and INFO.
for _name in ("web3", "aiohttp.client", "aiohttp.internal", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class TransportFailure(Exception):
    """No usable answer came back. The request may have been received all the same.

    Attributes:
        text: what happened, without the URL.
        status: the HTTP status, None where there was none.
        retry_after: seconds that the server asked us to wait, None where it did not.
        body: what came with the status; empty where nothing came.
        disconnected: the server closed the connection without an answer, as it does with an idle one.
        unconnected: no connection was made, so the server behind the URL may have changed since.
        refused: the server does not take batches, or none of this size; it looked at no call in it.
        busy: the server is asked too often.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        body: bytes = b"",
        disconnected: bool = False,
        unconnected: bool = False,
        refused: bool = False,
        busy: bool = False,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.retry_after = retry_after
        self.body = body
        self.disconnected = disconnected
        self.unconnected = unconnected
        self.refused = refused
        self.busy = busy or status == 429


class Transport(AsyncHTTPProvider):
    """HTTP to one URL. Belongs to the event loop that first used it; close it there.

    Args:
        url: http or https, perhaps with a key in it.
        timeout: seconds for one exchange in all, connecting and reading included.
        connected: called whenever a new connection was made.
    """

    def __init__(self, url: str, *, timeout: float, connected: Callable[[], None] = lambda: None) -> None:
        super().__init__(URI(url), exception_retry_configuration=None)
        self.name = redact_url(url)
        self._url = url
        self._timeout = timeout
        self._connected = connected
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"Transport({self.name})"

    __str__ = __repr__

    async def post(self, body: bytes) -> bytes:
        """Send `body`, give back the body of a 200. Raises TransportFailure; never repeats anything."""
        # The failure is raised outside the except block: aiohttp's exceptions know the URL, and would
        # otherwise hang on ours as its context.
        try:
            async with self._open().post(self._url, data=body, allow_redirects=False) as response:
                content = await response.read()
                status, headers = response.status, response.headers
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            failure = _failure(error, self._timeout)
        else:
            if status == 200:
                return content
            failure = TransportFailure(
                _status_text(status),
                status=status,
                retry_after=_seconds(headers.get("Retry-After")),
                body=content,
            )
        raise failure

    async def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:
        return await self.post(request_data)

    async def disconnect(self) -> None:
        """Close the connections. A later request opens new ones."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEPALIVE),
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                headers=self.get_request_headers(),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[self._tracing()],
            )
        return self._session

    def _tracing(self) -> aiohttp.TraceConfig:
        async def made(*_: object) -> None:
            self._connected()

        config = aiohttp.TraceConfig()
        config.on_connection_create_end.append(made)
        return config


def _failure(error: Exception, timeout: float) -> TransportFailure:
    # Only texts of our own, or the system's for an errno: the library's may hold the URL.
    if isinstance(error, TimeoutError):
        return TransportFailure(f"no answer within {timeout:g} s")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return TransportFailure("its TLS certificate is not valid", unconnected=True)
    if isinstance(error, aiohttp.ClientSSLError):
        return TransportFailure("the TLS handshake failed", unconnected=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(error.os_error, socket.gaierror) or isinstance(error, aiohttp.ClientConnectorDNSError):
            return TransportFailure("its host name cannot be resolved", unconnected=True)
        reason = error.os_error.strerror or "no connection"
        return TransportFailure(f"cannot connect: {_plain(reason)}", unconnected=True)
    if isinstance(error, aiohttp.InvalidURL):
        return TransportFailure("its URL is malformed", unconnected=True)
    if isinstance(error, aiohttp.ClientResponseError):
        return TransportFailure("its answer is not HTTP")
    if isinstance(error, aiohttp.ClientPayloadError):
        return TransportFailure("the answer was cut off")
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError):
        return TransportFailure("the connection was closed without an answer", disconnected=True)
    return TransportFailure(f"the exchange failed ({type(error).__name__})")


def _plain(reason: str) -> str:
    # asyncio writes "Connect call failed ('127.0.0.1', 8545)": the address is in the endpoint's name.
    return "connection refused" if "Connect call failed" in reason else reason.lower()


def _status_text(status: int) -> str:
    match status:
        case 429:
            return "too many requests (HTTP 429)"
        case 401 | 403:
            return f"access denied (HTTP {status}): is the key in its URL right?"
        case 404:
            return "nothing there (HTTP 404): is the path in its URL right?"
        case _ if 300 <= status < 400:
            return f"it redirects elsewhere (HTTP {status}): configure the final URL"
        case _:
            return f"HTTP {status}"


def _seconds(retry_after: str | None) -> float | None:
    """The header `Retry-After`: seconds, or a date."""
    if retry_after is None:
        return None
    with suppress(ValueError):
        return max(0.0, float(retry_after))
    with suppress(ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time())
    return None
