"""Every answer of every script is reached; a refusal writes nothing; a repetition has no second effect.

A case prepares a queue and gives back the call that is answered with its word. The headers of the scripts are the list
of what there must be a case for.
"""

from __future__ import annotations

import re
from importlib import resources

import pytest

from tests.jobs import cases
from tests.jobs.desk import Desk

#: Answers other than `ok` that go with a change of what is stored.
CHANGING = {
    ("adopt", "duplicate"),  # the element is dropped
    ("adopt", "twin"),  # and buried
    ("adopt", "gone"),  # put back
    ("bind", "recheck"),  # the counter follows the chain
    ("promote", "already"),  # takes a stale entry out of `delayed`
    ("requeue", "already"),  # the same of `queued`
}
#: What changes nothing all the same.
LOOKING = {
    ("epoch", "ok", ""),
    ("bind", "recheck", "checked too early"),
    ("bind", "recheck", "told so before"),
    ("requeue", "already", "pushed a moment ago"),
}
#: What the repetition of a change is answered, where that is not `already`.
REPEATED = {
    ("adopt", "duplicate"): "missing",
    ("adopt", "twin"): "twin",
    ("adopt", "gone"): "gone",
    ("beat", "ok"): "ok",
    ("bind", "recheck"): "recheck",
    ("fill_gap", "ok"): "none",
    ("note", "ok"): "ok",
    ("note_events", "ok"): "moved",
    ("pause", "ok"): "ok",
    ("recovery_window", "ok"): "ok",
    ("register", "ok"): "ok",
    ("postpone", "ok"): "ok",
    ("serve", "ok"): "ok",
    ("serve", "other"): "other",
    ("restore", "ok"): "ok",
}


def headers() -> set[tuple[str, str]]:
    """(script, word) of everything that the scripts' headers announce."""
    found = set()
    folder = resources.files("autometa_cli.jobs") / "scripts"
    for entry in folder.iterdir():
        name = entry.name.removesuffix(".lua")
        comment = re.split(r"^(?!--)", entry.read_text(), maxsplit=1, flags=re.MULTILINE)[0]
        text = re.sub(r"\n--\s*", " ", comment.split("  answer  ")[1]) if name != "prelude" else ""
        while "(" in text:
            text = re.sub(r"\([^()]*\)", "", text)
        for part in re.split(r"[|·]", text):
            word = re.match(r"\s*([a-z:]+)", part)
            if word:
                found.add((name, word[1]))
    return found


def returned() -> set[tuple[str, str]]:
    """(script, word) of every answer in the scripts' code, where it is written out."""
    found = set()
    folder = resources.files("autometa_cli.jobs") / "scripts"
    for entry in folder.iterdir():
        name = entry.name.removesuffix(".lua")
        for word in re.findall(r"return \{'([a-z:]+)'", entry.read_text()):
            found.add((name, word))
    return found - {("prelude", word) for _, word in found}


def test_the_headers_name_every_answer() -> None:
    assert returned() - headers() == set()


def test_there_is_a_case_for_every_answer() -> None:
    assert {(script, word) for script, word, _ in cases.CASES} == headers()


@pytest.mark.parametrize(("script", "word", "note"), sorted(cases.CASES), ids=lambda part: part or "-")
def test_answer(desk: Desk, script: str, word: str, note: str) -> None:
    check(desk, script, word, note)


def check(desk: Desk, script: str, word: str, note: str) -> None:
    """Reach an answer; see what changed, and what a repetition changes."""
    act = cases.CASES[script, word, note](desk)
    before = desk.dump()

    act()

    assert (desk.scripts.asked[-1][0], desk.answer.word) == (script, word)
    after = desk.dump()
    if (script, word, note) in LOOKING or not (word == "ok" or (script, word) in CHANGING):
        assert after == before
        return
    assert after != before
    assert desk.again().word == REPEATED.get((script, word), "already")
    assert desk.dump() == after
