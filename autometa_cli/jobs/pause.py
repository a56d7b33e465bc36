"""The operator's pause: why nobody claims jobs, who said so, and when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from autometa_cli import foreignjson
from autometa_cli.jobs.access import Access


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of the whole queue. Times are seconds since 1970 by Redis's clock.

    Attributes:
        by: who paused it, "" where nobody knows.
        since: 0 where nobody knows.
        until: when it ends by itself.
    """

    reason: str
    by: str
    since: int
    until: int | None

    @property
    def text(self) -> str:
        """In words, never empty."""
        return self.reason or (f"paused by {self.by}" if self.by else "paused")

    def stored(self) -> bytes:
        """How it stands in Redis; the key ends by itself then, too."""
        return json.dumps(
            {"reason": self.reason, "by": self.by, "since": self.since, "until": self.until}
        ).encode()


def read_pause(stored: bytes, until: int | None = None) -> Pause:
    """A pause as it stands in Redis; what is not ours (`redis-cli SET … maintenance`) is the reason itself.

    Args:
        until: when the key ends, to a second; None: never.
    """
    text = stored.decode("utf-8", "replace")
    try:
        value: Any = foreignjson.loads(text)
        found = (value["reason"], value["by"], value["since"])
    except (ValueError, KeyError, TypeError, RecursionError):
        found, value = (text, "", 0), {}
    reason, by, since = found
    if not (isinstance(reason, str) and isinstance(by, str) and isinstance(since, int)):
        return Pause(text, "", 0, until)
    said = value.get("until")  # exact; what is left of the key is rounded
    if until is not None and isinstance(said, int) and abs(said - until) <= 1:
        return Pause(reason, by, since, said)
    return Pause(reason, by, since, until)


class Pauses(Access):
    """Pausing a queue, and asking whether it is."""

    async def pause(self, reason: str, by: str, seconds: int | None = None) -> Pause:
        """Let nobody claim, for so long or until `resume`. Workers hear of it with their next beat. A full Redis takes
        it, too."""
        now, k = await self.clock(), self.keys
        pause = Pause(reason, by, now, None if seconds is None else now + seconds)
        await self.scripts.call("pause", [k.epoch, k.paused], [pause.stored(), pause.until or ""])
        return pause

    async def resume(self) -> Pause | None:
        """End a pause; what it was, None where there was none."""
        pause = await self.pausing()
        return pause if await self.redis.delete(self.keys.paused) else None

    async def pausing(self) -> Pause | None:
        """The pause that is on."""
        value = await self.redis.get(self.keys.paused)
        if value is None:
            return None
        left = await self.redis.pttl(self.keys.paused)
        return read_pause(value, await self.clock() + -(-left // 1000) if left > 0 else None)

    async def paused(self) -> str:
        """Why nobody claims, or ""."""
        pause = await self.pausing()
        return pause.text if pause else ""
