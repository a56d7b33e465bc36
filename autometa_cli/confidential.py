"""What of a variable's value may be shown, and what is cut out of every message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from autometa_cli.options import BY_NAME
from autometa_cli.secrets import conceal, redact_url

if TYPE_CHECKING:
    from autometa_cli.layers import Value


def shown(name: str, text: str) -> str:
    """A variable's value as it may be shown: secrets hidden, URLs redacted."""
    kind = BY_NAME[name].kind
    if kind == "secret":
        return "(hidden)"
    if kind == "url":
        return ",".join(redact_url(url) for url in re.split(r"[,\s]+", text) if url) if text else ""
    # A key pasted into the wrong line would be shown here; nothing else has so many hex digits.
    return re.sub(r"(0[xX])?[0-9a-fA-F]{48,}", "(hidden: looks like a key)", text)


def conceal_values(values: Mapping[str, Value]) -> None:
    """Tells `secrets.mask` what to cut out of unexpected messages."""
    for name, value in values.items():
        kind = BY_NAME[name].kind
        if kind == "secret":
            conceal(value.text)
            conceal(re.sub(r"^\s*0[xX]", "", value.text))
        elif kind == "url":
            for url in re.split(r"[,\s]+", value.text):
                authority, _, rest = url.partition("://")[2].partition("/")
                password = authority.rpartition("@")[0].partition(":")[2]
                conceal(password)
                conceal(unquote(password))
                path, _, query = rest.partition("?")
                for part in [*path.split("/"), *(text for _, text in parse_qsl(query))]:
                    if len(part) >= 16:  # long enough to be an API key and not a word
                        conceal(part)
