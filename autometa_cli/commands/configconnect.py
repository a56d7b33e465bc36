"""`autometa config check --connect`: do the servers that are configured answer, and are they the ones that are meant?

Reads only. What is found is added to what the settings alone tell.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from autometa_cli.errors import AutometaError, ConfigError, ExitCode

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.chain.view import View
    from autometa_cli.config import Settings

#: Seconds that an endpoint may take for one answer.
_TIMEOUT = 5.0


class Findings:
    """What was found, and the exit code that it asks for."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.code = ExitCode.DONE

    def add(self, level: str, variable: str, message: str, hint: str = "") -> None:
        """One fact; `level` is ok, warning, note or error."""
        self.found.append(finding(level, message, variable, hint))

    def failed(self, variable: str, error: AutometaError) -> None:
        """An error. What has to be set differently counts for more than who does not answer."""
        self.add("error", variable, error.message, error.hint)
        if self.code is not ExitCode.CONFIG:
            self.code = error.exit_code


def finding(level: str, message: str, variable: str = "", hint: str = "") -> dict[str, Any]:
    """As `config check --json` prints it."""
    return {"level": level, "variable": variable or None, "message": message, "hint": hint or None}


async def connect(settings: Settings) -> Findings:
    """Ask Redis, every endpoint and the contracts."""
    findings = Findings()
    await _redis(settings, findings)
    await _endpoints(settings, findings)
    return findings


async def _redis(settings: Settings, findings: Findings) -> None:
    from autometa_cli.jobs import server
    from autometa_cli.jobs.connection import redis_errors
    from autometa_cli.jobs.faults import explain
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.served import contracts, elsewhere, words

    try:
        async with redis_errors(settings.redis_url), JobQueue.of(settings) as queue:
            facts = await server.examine(
                queue.redis,
                min_replicas=settings.redis_min_replicas,
                failover=queue.connections.failover,
            )
            misfits = await queue.misfits()
            served = "" if misfits else await queue.serves()
            left = not misfits and await queue.left()
    except AutometaError as error:
        findings.failed("REDIS_URL", error)
        return
    for misfit in misfits:
        findings.failed("QUEUE_NAME", explain(misfit, settings.redis_url))
    ours = contracts(settings.chain_id, settings.actionexecutor_address or "")
    if served and settings.actionexecutor_address and served != ours:
        if left:
            findings.failed("QUEUE_NAME", elsewhere(settings.queue_name, served, ours))
        else:
            text = f"the queue {settings.queue_name} served {words(served)}, and nothing of that is left"
            findings.add("note", "QUEUE_NAME", text, "the next worker or scheduler takes it over")
    for fact in facts:
        if fact.severity == "error" and fact.code == "memory" and settings.allow_lossy_redis:
            findings.add("warning", "ALLOW_LOSSY_REDIS", fact.text, fact.hint)
        elif fact.severity == "error":
            findings.failed("REDIS_URL", ConfigError(fact.text, fact.hint))
        else:
            findings.add(fact.severity, "REDIS_URL", fact.text, fact.hint)


async def _endpoints(settings: Settings, findings: Findings) -> None:
    from autometa_cli.chain.rpc import Rpc

    if not settings.rpc_urls:
        return  # told already
    urls = [("RPC_URLS", url) for url in settings.rpc_urls]
    if settings.private_rpc_url:
        urls.append(("PRIVATE_RPC_URL", settings.private_rpc_url))
    clients = [Rpc([url], chain_id=settings.chain_id, timeout=_TIMEOUT) for _, url in urls]
    try:
        answers = await asyncio.gather(*(_head(client) for client in clients))
        views = [answer for answer in answers if not isinstance(answer, AutometaError)]
        readable = [view for (name, _), view in zip(urls, answers, strict=True) if name == "RPC_URLS"]
        usable = [view for view in readable if not isinstance(view, AutometaError)]
        highest = max((view.block.number for view in views), default=0)
        for (name, _), answer in zip(urls, answers, strict=True):
            if not isinstance(answer, AutometaError):
                findings.add("ok", name, _words(answer, settings.chain_id, highest))
            elif name == "RPC_URLS" and usable and not isinstance(answer, ConfigError):
                findings.add("warning", name, answer.message, "the others are used meanwhile")
            else:
                findings.failed(name, answer)
        if usable:
            await _contracts(settings, max(usable, key=lambda view: view.block.number), findings)
    finally:
        await asyncio.gather(*(client.close() for client in clients))


async def _head(client: Rpc) -> View | AutometaError:
    try:
        return await client.view()
    except AutometaError as error:
        return error


def _words(view: View, chain_id: int, highest: int) -> str:
    behind = highest - view.block.number
    late = f", {behind} blocks behind the highest" if behind else ""
    return f"{view.endpoint.name} serves chain {chain_id}; its newest block is {view.block.number}{late}"


async def _contracts(settings: Settings, view: View, findings: Findings) -> None:
    from autometa_cli.working.house import House

    addresses = {
        name: address
        for name in ("REGISTRY_ADDRESS", "ACTIONEXECUTOR_ADDRESS", "FEEESCROW_ADDRESS")
        if (address := getattr(settings, name.lower()))
    }
    try:
        codes = await asyncio.gather(*(view.code(address) for address in addresses.values()))
        missing = [name for name, code in zip(addresses, codes, strict=True) if not code]
        for name in missing:
            findings.failed(
                name,
                ConfigError(
                    f"there is no contract at {addresses[name]} on chain {settings.chain_id}",
                    f"check {name}, and that NETWORK or CHAIN_ID is the chain it was deployed on",
                ),
            )
        if missing or len(addresses) < 3:
            return
        await House(settings).check_wiring(view)
    except AutometaError as error:
        findings.failed("ACTIONEXECUTOR_ADDRESS", error)
        return
    findings.add(
        "ok", "ACTIONEXECUTOR_ADDRESS", "the three contracts are there, and the executor uses the other two"
    )
