"""What is done with transactions that are mined: noted, and settled once a finalized block has them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from autometa_cli.errors import RpcUnreachable
from autometa_cli.executor import faultpoints

if TYPE_CHECKING:
    from autometa_cli.executor.funds import Funds
    from autometa_cli.executor.head import Head
    from autometa_cli.executor.judge import Judge
    from autometa_cli.executor.ledger import Ledger
    from autometa_cli.executor.watchlist import Watched, Watchlist

_log = logging.getLogger(__name__)


class Settler:
    """Closes what the chain decided."""

    def __init__(self, watchlist: Watchlist, ledger: Ledger, funds: Funds, judge: Judge) -> None:
        self._watchlist = watchlist
        self._ledger = ledger
        self._funds = funds
        self._judge = judge

    async def note_mined(self, watched: Watched, head: Head) -> None:
        """A block that is not final has it, as the sender's transaction count shows."""
        if watched.mined:
            return
        for receipt in await self._judge.receipts(watched.record, head.view):
            if receipt is not None:
                watched.mined, watched.blocked, watched.spoilt = True, "", ""
                faultpoints.reached(faultpoints.MINED)
                self._funds.spent(watched.record.key, receipt.block_number)
                await self._ledger.note(
                    watched.record.key, mined_tx=receipt.hash, mined_block=receipt.block_number
                )

    async def settle(self, watched: Watched, head: Head) -> None:
        """A final block has used its nonce: find out by what, and close the record accordingly.

        Raises RpcUnreachable, redis.exceptions.RedisError, Tampered.
        """
        record = watched.record
        ruling = await self._judge.rule(record, head.view, head.final_number)
        verdict, tx, text = ruling.verdict, ruling.tx, ruling.text
        faultpoints.reached(faultpoints.DECIDED)
        answer = await self._ledger.decide(record, ruling, block=head.final_number)
        if answer.word == "recovery":
            raise RpcUnreachable("the ledger is in doubt")
        if answer.word == "moved":
            await self._watchlist.refresh(watched)
            return
        if verdict in ("executed", "action_failed"):
            self._funds.spent(record.key, head.number)
        else:
            self._funds.free(record.key)
        if answer.word != "ok":  # another worker brought the proof first
            self._watchlist.drop(watched)
            return
        state = answer.rest[0] if answer.rest else ""
        level = logging.INFO if verdict == "executed" else logging.WARNING
        _log.log(
            level,
            "%s: %s in %s, final in block %s%s",
            record.label,
            verdict,
            tx or "?",
            head.final_number,
            f" {text}" if text else "",
        )
        self._watchlist.drop(watched, state, verdict)
