"""One exchange: calls out, alone or as a batch, and the answers that came back by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autometa_cli.chain.answers import read_answers
from autometa_cli.chain.batching import Call
from autometa_cli.chain.errorrate import ErrorRate
from autometa_cli.chain.transport import Transport, TransportFailure


async def exchange(
    transport: Transport, errors: ErrorRate, calls: Sequence[Call]
) -> dict[int, dict[str, Any]]:
    """The answers by id; a call without a usable one is left out. Raises TransportFailure; repeats nothing."""
    body = calls[0].body if len(calls) == 1 else f"[{','.join([call.body for call in calls])}]"
    refusal = None
    try:
        try:
            content = await transport.post(body.encode())
        except TransportFailure as failure:
            # Some servers put JSON-RPC errors under a 4xx.
            if failure.status is None or failure.status == 429 or not 400 <= failure.status < 500:
                raise
            content, refusal = failure.body, failure
        answers = read_answers(content, [call.id for call in calls], refusal)
    except TransportFailure as failure:
        # A limit, a refused batch and an idle connection that was closed are no failures of the server.
        if not (failure.busy or failure.refused or failure.disconnected):
            errors.add(True)
        raise
    errors.add(False)
    return answers
