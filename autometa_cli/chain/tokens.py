"""What a token says about itself. Anybody can deploy one: for showing, never for deciding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.view import together
from autometa_cli.chain.words import BadEncoding
from autometa_cli.units import from_wei

if TYPE_CHECKING:
    from autometa_cli.chain.view import View

_LONGEST_SYMBOL = 16


@dataclass(frozen=True, slots=True)
class Token:
    """An ERC-20 by its own account.

    Attributes:
        symbol, decimals: None where it does not tell.
    """

    address: str
    symbol: str | None = None
    decimals: int | None = None

    def amount(self, units: int) -> str:
        """For people: `"1.5 TEST"`, or in the smallest unit where it has no decimals to tell."""
        if self.decimals is None:
            return f"{units} smallest units"
        return f"{from_wei(units, self.decimals)} {self.symbol or 'tokens'}"


async def describe_token(view: View, address: str) -> Token:
    """Ask a token for its symbol and decimals. Raises RpcUnreachable where the endpoint fails."""
    symbol, decimals = await together(_ask(view, address, "symbol"), _ask(view, address, "decimals"))
    if isinstance(symbol, str):
        symbol = "".join(c for c in symbol if c.isprintable()).strip()[:_LONGEST_SYMBOL]
    return Token(address, symbol or None, decimals)


async def _ask(view: View, address: str, name: str) -> str | int | None:
    function = interface("IERC20").functions[name]
    try:
        answer: str | int = function.decode(await view.call(address, function.encode()))[0]
    except (RpcFault, BadEncoding):
        return None  # both functions are optional
    return answer
