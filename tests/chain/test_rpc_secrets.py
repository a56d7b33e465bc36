"""A URL may hold a password or an API key: neither is ever shown, whatever goes wrong (I7)."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import traceback
from typing import Any

import pytest

from autometa_cli.chain.endpoint import Endpoint
from autometa_cli.chain.rpc import Rpc
from autometa_cli.chain.transport import Transport, TransportFailure
from autometa_cli.errors import AutometaError
from tests.chain.loopback import Node, bad, echo, page
from tests.chain.test_rpc_failures import FAILURES, RATE_LIMITS

USER, PASSWORD, PATH_KEY, QUERY_KEY = (
    "us3rname",
    "p%40ssw0rd-17",
    "k3y-in-the-path-0123456789",
    "qk3y-42424242",
)
SECRETS = (USER, PASSWORD, "p@ssw0rd-17", PATH_KEY, QUERY_KEY)


def secret_url(url: str) -> str:
    return url.replace("://", f"://{USER}:{PASSWORD}@") + f"/v2/{PATH_KEY}?apikey={QUERY_KEY}"


def check(text: str) -> None:
    for secret in SECRETS:
        assert secret not in text, f"{secret} in {text}"


def everything(error: BaseException) -> str:
    """All that a log or a traceback with its causes could show of an exception."""
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    for other in (error.__cause__, error.__context__):
        shown += everything(other) if other is not None else ""
    return shown


def quote_it_all(body: Any) -> Any:
    """A gateway that repeats the URL in its error."""
    text = f"project /v2/{PATH_KEY} of {USER}:p@ssw0rd-17 with ?apikey={QUERY_KEY} is unknown"
    return bad(body, -32000, text, text) if isinstance(body, dict) else bad(None, -32600, text)


ANSWERS: dict[str, Any] = {
    **{name: answer for name, (answer, _) in FAILURES.items()},
    **RATE_LIMITS,
    "quoting": quote_it_all,
    "quoting under 400": lambda body: page(
        400, f'{{"id":1,"error":{{"code":1,"message":"bad {QUERY_KEY}"}}}}'
    ),
    "healthy": echo,
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_whatever_a_server_does(answer: Any) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    level = root.level

    async def main() -> None:
        async with Node(answer) as node:
            url = secret_url(node.url)
            async with Rpc([url], chain_id=None, timeout=0.3) as rpc:
                check(
                    repr(rpc.endpoints) + repr(rpc.endpoints[0].transport) + str(rpc.endpoints[0].transport)
                )
                for _ in range(2):
                    calls = [rpc.request("echo", (n,)) for n in range(3)]
                    for result in await asyncio.gather(*calls, rpc.view(), return_exceptions=True):
                        check(everything(result) if isinstance(result, BaseException) else repr(result))
                    check(repr(await rpc.send_raw(b"\x02")))

    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        asyncio.run(main(), debug=True)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    check(log.getvalue())


def test_endpoints_that_are_not_there() -> None:
    async def main() -> None:
        async with Node() as node:
            gone = node.url
        for url in (gone, "https://no-such-host.invalid", "http://[::1"):
            with contextlib.suppress(ValueError):  # of the URL's parser, before anything is asked
                async with Rpc([secret_url(url)], chain_id=1, timeout=3) as rpc:
                    with pytest.raises(AutometaError) as caught:
                        await rpc.request("echo")
                    check(everything(caught.value))
                    check(repr(await rpc.send_raw(b"\x02")))

    asyncio.run(main())


def test_a_server_that_does_not_speak_http() -> None:
    async def main() -> None:
        async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"}")
            writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(babble, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with Rpc([secret_url(url)], chain_id=None) as rpc:
                with pytest.raises(AutometaError, match="not HTTP") as caught:
                    await rpc.request("echo")
                check(everything(caught.value))
                check(repr(await rpc.send_raw(b"\x02")))
                with pytest.raises(TransportFailure) as failure:
                    await rpc.endpoints[0].transport.post(b"{}")
                check(everything(failure.value))

    asyncio.run(main())


def test_a_server_without_tls() -> None:
    async def main() -> None:
        async with Node() as node, Rpc([secret_url(node.url.replace("http:", "https:"))], chain_id=1) as rpc:
            with pytest.raises(AutometaError, match="TLS") as caught:
                await rpc.request("echo")
            check(everything(caught.value))

    asyncio.run(main())


def test_the_wrong_chain_is_named_without_the_key() -> None:
    async def main() -> None:
        async with Node(echo) as node:
            endpoint = Endpoint(secret_url(node.url), chain_id=1)
            with pytest.raises(AutometaError) as caught:
                await endpoint.request("echo")
            check(everything(caught.value))
            assert node.url in caught.value.message
            await endpoint.close()

    asyncio.run(main())


def test_the_password_is_sent_all_the_same() -> None:
    seen = []

    async def main() -> None:
        class Guarded(Node):
            async def _handle(self, request: Any) -> Any:
                seen.append((request.headers.get("Authorization"), request.path_qs))
                return await super()._handle(request)

        async with Guarded() as node, Rpc([secret_url(node.url)], chain_id=None) as rpc:
            assert await rpc.request("echo", (1,)) == 1

    asyncio.run(main())
    assert seen == [("Basic dXMzcm5hbWU6cEBzc3cwcmQtMTc=", f"/v2/{PATH_KEY}?apikey={QUERY_KEY}")]


def test_web3s_own_interface_does_not_show_it_either(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Node() as node:
            transport = Transport(secret_url(node.url), timeout=1)
            with caplog.at_level(logging.DEBUG):
                answer = await transport.make_request("echo", [7])
                assert answer["result"] == 7
                await transport.disconnect()
            check(caplog.text)
        with pytest.raises(TransportFailure) as caught:
            await transport.post(b"{}")
        await transport.disconnect()
        check(everything(caught.value))

    asyncio.run(main())
