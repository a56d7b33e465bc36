"""Reading a JSON-RPC answer: every call gets the answer with its own id, or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from autometa_cli import foreignjson
from autometa_cli.chain.sendanswers import is_rate_limit
from autometa_cli.chain.transport import TransportFailure

# HTTP statuses by which servers refuse a batch as such.
_REFUSED_STATUS = frozenset({400, 405, 413, 415, 422})
# "Response too large": geth (-32003) and Substrate (-32008, -32011) say it of the calls of a batch that
# did not fit any more.
_OVERSIZE_CODES = frozenset({-32003, -32008, -32011})
_LONGEST_TEXT = 500


def read_answers(
    content: bytes, ids: Sequence[int], refusal: TransportFailure | None
) -> dict[int, dict[str, Any]]:
    """The answers in `content` by id; a call whose answer is missing, double or malformed is left out.

    Args:
        content: the body that came back.
        ids: those of the calls that were sent; one: a plain request, several: a batch.
        refusal: the failure to raise where `content` came with a 4xx and holds no answers.

    Raises:
        TransportFailure: nothing in it is an answer; `refused` is set where the batch as such was refused.
    """
    try:
        answer = foreignjson.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if refusal is not None and not _has_answers(answer):
        refusal.refused = len(ids) > 1 and refusal.status in _REFUSED_STATUS
        raise refusal
    if len(ids) == 1:
        return _single(answer, ids[0], content)
    if isinstance(answer, dict):
        raise _batch_refused(answer)
    if not isinstance(answer, list):
        raise TransportFailure(_garbage(content))
    # geth refuses a batch that is too large by a list with one member.
    if len(answer) == 1 and isinstance(answer[0], dict) and "batch" in error_parts(answer[0])[1].lower():
        raise _batch_refused(answer[0])
    found: dict[int, dict[str, Any]] = {}
    wanted, double = set(ids), set()
    for member in answer:
        if not isinstance(member, dict) or not _is_answer(member):
            continue
        number = member.get("id")
        if type(number) is not int or number not in wanted:
            continue
        if found.setdefault(number, member) != member:
            double.add(number)  # two answers that differ: neither can be believed
    return {number: member for number, member in found.items() if number not in double}


def error_parts(answer: dict[str, Any]) -> tuple[int, str, Any]:
    """Code, text and data of the error object in an answer; (0, "", None) where it has none."""
    error = answer.get("error")
    if not isinstance(error, dict):
        return 0, "", None
    code, text = error.get("code"), error.get("message")
    return code if type(code) is int else 0, text if isinstance(text, str) else "", error.get("data")


def is_oversize(code: int, text: str) -> bool:
    """Whether an error of one call in a batch says that the answers together were too large."""
    return code in _OVERSIZE_CODES and "too large" in text.lower()


def _single(answer: Any, id: int, content: bytes) -> dict[int, dict[str, Any]]:
    if not isinstance(answer, dict):
        raise TransportFailure(_garbage(content))
    number = answer.get("id")
    # An error without an id answers a request that the server could not even read.
    if _is_answer(answer) and (number == id or (number is None and answer.get("error") is not None)):
        return {id: answer}
    raise TransportFailure("its answer is not the answer to this request")


def _has_answers(answer: Any) -> bool:
    members = answer if isinstance(answer, list) else [answer]
    return any(isinstance(member, dict) and _is_answer(member) for member in members)


def _is_answer(member: dict[str, Any]) -> bool:
    error = member.get("error")
    return isinstance(error, dict) if error is not None else "result" in member


def _batch_refused(answer: dict[str, Any]) -> TransportFailure:
    code, text, _ = error_parts(answer)
    if is_rate_limit(code, text) and "batch" not in text.lower():
        return TransportFailure(f"too many requests: {text}", busy=True)
    if answer.get("error") is None:
        return TransportFailure("its answer to a batch is not a list")
    return TransportFailure(f"it refuses the batch: {text}", refused=True)


def _garbage(content: bytes) -> str:
    if not content:
        return "its answer is empty"
    return "it answered with a web page" if content.lstrip()[:1] == b"<" else "its answer is not JSON-RPC"


class Scrubber:
    """Takes what is secret in a URL out of the texts of its server, which may quote it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        found = {parts.password or "", parts.username or "", parts.query, f"{parts.path}?{parts.query}"}
        found.update(segment for segment in parts.path.split("/") if len(segment) >= 8)
        found.update(value for _, value in parse_qsl(parts.query))
        found |= {unquote(text) for text in found}
        # Shorter ones are words, not secrets, and would blot out the text.
        self._secrets = sorted((text for text in found if len(text) >= 4), key=len, reverse=True)

    def clean(self, text: str) -> str:
        """`text` without the URL's secrets, cut to a sensible length."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"

    def data(self, data: Any) -> Any:
        """What came along with an error, cleaned where it is a text for people."""
        return self.clean(data) if isinstance(data, str) and not data.startswith("0x") else data
