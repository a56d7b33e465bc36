"""Many calls of one script as one: what they have in common is sent once, and Redis answers once.

The script itself knows nothing of it. Its text becomes the body of a function that is called for each call in turn,
with its own KEYS and ARGV: each looks before it writes, is refused or repeated, as if it had come alone. An error of
one, a key that somebody made something else for instance, is that one's answer and touches no other.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from operator import itemgetter
from typing import Any, NamedTuple

import redis.exceptions as rex

Argument = str | bytes | int
Future = asyncio.Future[Any]

#: Calls in one script. Redis serves nobody else meanwhile: two or three milliseconds.
_MOST = 100

_HEAD = b"local function one(KEYS, ARGV)\n"
_TAIL = b"""
end
local keys, arguments, answers = {}, {}, {}
local counts, place, key, argument = cjson.decode(ARGV[2]), 3, 1, 0
-- What all calls have in common is set once, what differs for each.
for _, at in ipairs(counts.same_keys) do keys[at], key = KEYS[key], key + 1 end
for _, at in ipairs(counts.same) do arguments[at], place = ARGV[place], place + 1 end
arguments[1] = ARGV[1]
for call = 1, counts.calls do
  for _, at in ipairs(counts.other_keys) do keys[at], key = KEYS[key], key + 1 end
  for _, at in ipairs(counts.other) do arguments[at], place = ARGV[place], place + 1 end
  local fine, answer = pcall(one, keys, arguments)
  if not fine then
    local words = type(answer) == 'table' and answer.err or tostring(answer)
    -- Not the call's trouble but the server's, and nothing was written: the connection hears of it, too (jobs/wire.py).
    local at = string.find(words, 'READONLY', 1, true)
    if at then return redis.error_reply(string.sub(words, at)) end
    answer = {'error', words}
  end
  answers[call] = answer
end
return answers
"""


class _Varies(NamedTuple):
    """Which KEYS and ARGV of a script, counted as in its header, differ between calls; all others are in common."""

    keys: tuple[int, ...]
    arguments: tuple[int, ...]


#: Scripts whose calls travel together. Calls that differ elsewhere, too, go in bundles of their own.
TOGETHER = {
    "adopt": _Varies((4, 5, 6), (3, 4, 5, 8, 9, 10)),
    "bind": _Varies((3, 4), (3, 4)),
    "write_signed": _Varies((3,), (3, 4, 6, 7, 8, 9, 10, 12)),
    "release": _Varies((3, 4), (3, 4, 5, 7, 8, 9, 11)),
    "settle": _Varies((2, 3), (2, 4, 5, 6, 7, 9, 11, 12, 15, 16)),
    "promote": _Varies((3,), (2, 3)),
}


class Text(NamedTuple):
    """A script as Redis gets it."""

    source: bytes
    sha: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call that waits to be sent. `script` is None for a plain command."""

    script: str | None
    keys: Sequence[str]
    arguments: Sequence[Argument]
    future: Future

    def give(self, reply: Any) -> None:
        """Its answer, or the exception that it met."""
        if isinstance(reply, Exception):
            self.fail(reply)
        elif not self.future.done():
            self.future.set_result(reply)

    def fail(self, error: Exception) -> None:
        """Raise this where the answer is waited for."""
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(frozen=True, slots=True)
class Bundle:
    """What travels as one command.

    Attributes:
        script: None for a plain command.
        arguments: all that follows the script's name.
        each: the reply holds an answer for each call.
    """

    script: Text | None
    arguments: Sequence[Any]
    calls: Sequence[Call]
    each: bool = False

    def give(self, reply: Any) -> None:
        """Hand the answer, or answers, to who asked."""
        if not self.each or isinstance(reply, Exception):
            for call in self.calls:
                call.give(reply)
            return
        for call, answer in zip(self.calls, reply, strict=True):
            call.give(_error(answer[1]) if answer[0] == b"error" else answer)


def bundles(calls: Sequence[Call]) -> Iterator[Bundle]:
    """The commands that say the same as all these calls. They were made in one moment: in no order."""
    alike: dict[tuple[Any, ...], list[Call]] = {}
    for call in calls:
        if call.script in TOGETHER:
            form = _form(call.script, len(call.keys), len(call.arguments))
            alike.setdefault((call.script, *form.common(call)), []).append(call)
        elif call.script is None:
            yield Bundle(None, call.arguments, (call,))
        else:
            yield alone(call)
    for group in alike.values():
        for start in range(0, len(group), _MOST):
            some = group[start : start + _MOST]
            yield alone(some[0]) if len(some) == 1 else joined(some)


def alone(call: Call) -> Bundle:
    """One call of a script as it is."""
    return Bundle(text(call.script or ""), (len(call.keys), *call.keys, *call.arguments), (call,))


def joined(calls: Sequence[Call]) -> Bundle:
    """Calls of one script that share what they have to."""
    first = calls[0]
    form = _form(first.script or "", len(first.keys), len(first.arguments))
    keys, arguments = list(form.same_keys(first.keys)), [first.arguments[0], form.layout(len(calls))]
    arguments += form.same(first.arguments)
    for call in calls:
        keys += form.other_keys(call.keys)
        arguments += form.other(call.arguments)
    return Bundle(text(first.script or "", together=True), (len(keys), *keys, *arguments), calls, each=True)


class _Form:
    """How calls of one script with so many keys and arguments are taken apart."""

    def __init__(self, varies: _Varies, keys: int, arguments: int) -> None:
        self._same_keys = [at for at in range(1, keys + 1) if at not in varies.keys]
        self._same = [at for at in range(2, arguments + 1) if at not in varies.arguments]
        self._varies = varies
        self.same_keys, self.other_keys = _picker(self._same_keys), _picker(varies.keys)
        self.same, self.other = _picker(self._same), _picker(varies.arguments)

    def common(self, call: Call) -> tuple[Any, ...]:
        """What calls have to share to travel together."""
        return (*self.same_keys(call.keys), *self.same(call.arguments), len(call.arguments))

    def layout(self, calls: int) -> str:
        """What the script is told of the order of its keys and arguments."""
        parts = {
            "same_keys": self._same_keys,
            "other_keys": self._varies.keys,
            "same": self._same,
            "other": self._varies.arguments,
        }
        lists = ",".join(f'"{name}":[{",".join(map(str, places))}]' for name, places in parts.items())
        return f'{{"calls":{calls},{lists}}}'


@cache
def _form(script: str, keys: int, arguments: int) -> _Form:
    return _Form(TOGETHER[script], keys, arguments)


def _picker(places: Sequence[int]) -> Any:
    """Takes what stands at these places (counted from 1) out of a sequence, as a tuple."""
    if len(places) < 2:
        return lambda sequence: tuple(sequence[at - 1] for at in places)
    return itemgetter(*(at - 1 for at in places))


def _error(message: bytes) -> rex.ResponseError:
    return rex.ResponseError(message.decode("utf-8", "replace"))


@cache
def text(name: str, *, together: bool = False) -> Text:
    """A script behind the prelude; `together`, in the form that takes many calls."""
    folder = resources.files("autometa_cli.jobs") / "scripts"
    body = (folder / f"{name}.lua").read_bytes()
    source = (folder / "prelude.lua").read_bytes() + (_HEAD + body + _TAIL if together else body)
    return Text(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())
