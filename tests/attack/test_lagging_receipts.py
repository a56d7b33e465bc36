"""Behind one address stand several nodes. One that lags knows neither the receipt nor the event of what is final."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from autometa_cli.chain.view import View
from tests.network import LiveNetwork
from tests.working.stage import staged


def test_an_extra_run_is_not_repeated_because_its_receipt_is_not_there_yet(
    network: LiveNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = View.request
    denied: list[str] = []

    async def lagging(self: View, method: str, params: Sequence[Any] = ()) -> Any:
        answer = await honest(self, method, params)
        if method in ("eth_getTransactionReceipt", "eth_getLogs") and len(denied) < 4:
            denied.append(method)
            return None if method == "eth_getTransactionReceipt" else []
        return answer

    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1, next_run=network.now() + 10**7)
            monkeypatch.setattr(View, "request", lagging)
            await stage.push({"workflowId": id, "nextRun": 0, "id": "once"})
            async with stage.hired() as hand:
                await stage.until(lambda: hand.worker.closed["executed"], "it to be settled", hurry=True)
            assert denied
            assert await stage.executed() == Counter({id: 1})

    asyncio.run(scenario())
