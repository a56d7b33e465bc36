"""Is a worker's own house in order? While it is not, no job is taken, and everybody can see why (I6, I9)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import redis.exceptions as rex

from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.words import BadEncoding
from autometa_cli.errors import AutometaError, ConfigError
from autometa_cli.executor.clocks import clock_trouble
from autometa_cli.jobs.faults import explain
from autometa_cli.units import duration, from_wei

if TYPE_CHECKING:
    from autometa_cli.chain.view import View
    from autometa_cli.config import Settings
    from autometa_cli.executor.head import Head
    from autometa_cli.executor.tracker import Tracker

_log = logging.getLogger(__name__)

#: A trouble that a single job met is believed for this long, seconds; then one job tries again.
_BELIEVED_SECONDS = 5.0
#: What the next job meets within this time is the same trouble, seconds.
_SAME_SECONDS = 10.0
#: A trouble that comes and goes is logged again after this long, seconds.
_SAY_AGAIN_SECONDS = 60.0
#: Less gas money than this much gas at the present fee cannot execute anything.
_LEAST_GAS = 100_000
#: So many concerns are shown.
_CONCERNS = 3


class House:
    """The list of present troubles, by code. Each is logged when it comes and when it goes.

    Attributes:
        paused: why the operator paused the queue, or "".
        concerns: what waits for a person, though jobs may be taken.
        refused: Redis answers, and refuses what a queue writes (it is full, a key is no list, ...). A beat passes all
            the same, so it does not tell when that is over.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._troubles: dict[str, tuple[str, float]] = {}
        self._paused = ""
        self.concerns: list[str] = []
        self._said: dict[str, float] = {}
        self._since: dict[str, float] = {}
        #: When the last of those that are believed for a moment ran out, by code.
        self._ran_out: dict[str, float] = {}
        self._quiet_until: dict[str, float] = {}
        self.refused = False
        # Until the first head and the first beat: a pause must be heard before the first job is taken.
        for code in ("start", "redis"):
            self._troubles[code] = ("starting up", float("inf"))

    @property
    def in_order(self) -> bool:
        """May jobs be taken?"""
        self._expire()
        return not self._troubles and not self._paused

    @property
    def state(self) -> str:
        """In one word, for the registry of workers: `working`, `paused`, or `waiting` until a trouble is mended."""
        if self._paused:
            return "paused"
        return "working" if self.in_order else "waiting"

    @property
    def troubles(self) -> dict[str, str]:
        """Code to text."""
        self._expire()
        return {code: text for code, (text, _) in self._troubles.items()}

    @property
    def paused(self) -> str:
        """Why the operator paused the queue, or ""."""
        return self._paused

    @paused.setter
    def paused(self, reason: str) -> None:
        if reason != self._paused:
            _log.info("the queue is paused: %s" if reason else "the queue is not paused any more%s", reason)
        self._paused = reason

    def summary(self) -> str:
        """All troubles and concerns in one line, or ""."""
        told = [*self.troubles.values(), *self.concerns[:_CONCERNS]]
        if len(self.concerns) > _CONCERNS:
            told.append(f"{len(self.concerns) - _CONCERNS} more like these")
        return "; ".join(dict.fromkeys(told))

    def report(self, code: str, text: str, *, lasts: float | None = None) -> None:
        """Something is wrong; `lasts` seconds, or until `settle`."""
        now = self._clock()
        if now >= max(self._said.get(code, 0.0), self._quiet_until.get(code, 0.0)):
            _log.warning("taking no jobs: %s", text)
            self._said[code] = now + _SAY_AGAIN_SECONDS if lasts else float("inf")
        if now - self._ran_out.pop(code, now) > _SAME_SECONDS:
            self._since.pop(code, None)
        self._troubles[code] = (text, now + lasts if lasts else float("inf"))
        self._since.setdefault(code, now)

    def lasted(self, code: str) -> float:
        """Seconds for which a trouble has been there; 0 where it is not. What job after job met is one trouble."""
        return self._clock() - self._since[code] if code in self.troubles and code in self._since else 0.0

    def settle(self, code: str) -> None:
        """That is mended."""
        there, said = self._troubles.pop(code, None), self._said.pop(code, None)
        self._since.pop(code, None)
        if there and said is not None:
            _log.info("mended (%s)%s", code, "" if self._troubles else "; taking jobs again")

    def job_met(self, code: str, text: str) -> None:
        """A job was refused for a reason that is ours; believed for a moment, whatever the next head says."""
        self.report(f"job:{code}", text, lasts=_BELIEVED_SECONDS)

    def redis_failed(self, error: Exception) -> None:
        """Redis is away or refuses, in the words of the commands."""
        self.refused = isinstance(error, rex.ResponseError)
        if not self.refused:  # that it is away is always told
            self._quiet_until.pop("redis", None)
        known = explain(error, self._settings.redis_url)
        self.report(
            "redis", f"{known.message} ({known.hint})" if self.refused and known.hint else known.message
        )

    def redis_answers(self) -> None:
        """Redis took a beat; where it `refused` something before, also what a queue writes (`JobQueue.works`)."""
        if self.refused and "redis" in self._said:  # should it refuse again soon, it is not told each time
            self._quiet_until["redis"] = self._clock() + _SAY_AGAIN_SECONDS
        self.refused = False
        self.settle("redis")

    def redis_speaks(self) -> None:
        """Redis answers, though not what lets us work yet: it is not away."""
        self._since.pop("redis", None)

    def rpc_failed(self, error: AutometaError) -> None:
        """No usable head, or an answer that helps nobody."""
        self.report("rpc", error.message)

    def sending(self, trouble: str) -> None:
        """The chain can be read; `trouble` says why nothing can be sent all the same, or ""."""
        self._either("sending", trouble)

    def look(self, head: Head, tracker: Tracker) -> None:
        """Everything that a head tells about our own house."""
        settings, symbol = self._settings, self._settings.network.symbol
        self.settle("rpc")
        self.settle("start")
        self._either(
            "no_role", "" if head.permitted else "this worker's key has no WORKER_ROLE on the executor"
        )
        self._either("fee_cap", head.too_dear)
        least = _LEAST_GAS * head.fees.max_fee
        money = f"this worker's key has {from_wei(head.sender_balance)} {symbol}, less than one transaction may cost"
        self._either("no_gas_money", money if head.sender_balance < least else "")
        self._either("clock", clock_trouble(settings.network, int(head.skew)))
        self._either("transaction", tracker.trouble)
        self._concern(tracker.concerns(settings.tx_timeout))
        age = tracker.oldest()
        stuck = f"the oldest open transaction is not mined for {duration(age)} (TX_TIMEOUT)"
        self._either("stuck", stuck if age > settings.tx_timeout else "")

    async def check_wiring(self, view: View) -> None:
        """The executor contract must use the registry and escrow that we know: the policy protects only those.

        Raises:
            ConfigError: it uses others, or is no executor.
            RpcUnreachable: the endpoint failed.
        """
        executor = self._settings.actionexecutor_address or ""
        for name, configured in (
            ("registry", self._settings.registry_address),
            ("escrow", self._settings.feeescrow_address),
        ):
            function = interface("ActionExecutor").functions[name]
            try:
                found = str(function.decode(await view.call(executor, function.encode()))[0])
            except (BadEncoding, RpcFault):
                raise ConfigError(
                    f"there is no ActionExecutor at {executor}",
                    "check ACTIONEXECUTOR_ADDRESS, and that NETWORK or CHAIN_ID is the chain it was deployed on",
                ) from None
            if found.lower() != (configured or "").lower():
                variable = "REGISTRY_ADDRESS" if name == "registry" else "FEEESCROW_ADDRESS"
                raise ConfigError(
                    f"the ActionExecutor at {executor} uses the {name} {found}, {variable} says {configured}",
                    f"set {variable} to the one that the executor uses",
                )

    def _concern(self, texts: list[str]) -> None:
        if len(texts) > len(self.concerns):
            _log.warning("waits for a person: %s", "; ".join(texts[:_CONCERNS]))
        self.concerns = texts

    def _either(self, code: str, text: str) -> None:
        if text:
            self.report(code, text)
        else:
            self.settle(code)

    def _expire(self) -> None:
        now = self._clock()
        for code, until in [(code, until) for code, (_, until) in self._troubles.items() if until <= now]:
            del self._troubles[code]
            self._ran_out[code] = until
