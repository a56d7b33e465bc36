"""What must never be shown: how it is cut out of text, and the only two objects that hold keys.

`redact_url` for every URL that is shown. `mask` is the second net: whatever was loaded as a secret is cut
out of unexpected messages and tracebacks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from autometa_cli import keys
from autometa_cli.errors import ConfigError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

HIDDEN = "…"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}")
_HOSTS = re.compile(
    r"(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.-]+)(?::[0-9]{1,5})?"
    r"(?:,(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.-]+)(?::[0-9]{1,5})?)*"
)
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s'\"<>]+")
_LONG_HEX = re.compile(r"(?:0[xX])?[0-9a-fA-F]{60,}")
_SHORTEST_MASKED = 6  # a shorter secret occurs in harmless text too often to be cut out of it

_concealed: set[str] = set()


def redact_url(url: str) -> str:
    """Scheme, host and port; `/…` where more was there. User, password, path and query never.

    A Redis database number stays, and the path of a Unix socket. What is not clearly a URL gives `…`.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        return HIDDEN
    scheme = scheme.lower()
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    tail = rest[len(authority) :]
    if "@" in tail:  # a password with an unescaped / ? or #: where the host begins cannot be told
        return f"{scheme}://{HIDDEN}"
    hosts = authority.rpartition("@")[2]
    if scheme == "unix":
        return f"unix://{tail.partition('?')[0]}" if tail.startswith("/") else f"unix://{HIDDEN}"
    if not _HOSTS.fullmatch(hosts):
        return f"{scheme}://{HIDDEN}"
    if scheme.startswith("redis") and re.fullmatch(r"/[0-9]{1,3}", tail):
        return f"{scheme}://{hosts}{tail}"
    return f"{scheme}://{hosts}" + (f"/{HIDDEN}" if tail.strip("/") else "")


def redact_urls(text: str) -> str:
    """Every URL inside a text, redacted."""

    def replace(found: re.Match[str]) -> str:
        url = found.group().rstrip(".,;:)]}")
        return redact_url(url) + found.group()[len(url) :]

    return _URL_IN_TEXT.sub(replace, text)


def scrub(text: str) -> str:
    """For text that a person typed into the wrong place: URLs redacted, anything that may be a key hidden."""
    return _LONG_HEX.sub(HIDDEN, redact_urls(text))


def conceal(secret: str) -> None:
    """Remembers a loaded secret, so that `mask` cuts it out of unexpected messages."""
    secret = secret.strip()
    if len(secret) >= _SHORTEST_MASKED:
        _concealed.add(secret)


def mask(text: str) -> str:
    """The text without any secret that was loaded, and with every URL redacted."""
    for secret in sorted(_concealed, key=len, reverse=True):
        text = re.sub(re.escape(secret), HIDDEN, text, flags=re.IGNORECASE)
    return redact_urls(text)


@dataclass(frozen=True, slots=True)
class SignedBytes:
    """A signed transaction: `raw` is what is broadcast, `hash` its 0x transaction hash."""

    raw: bytes
    hash: str


class Signer:
    """Signs for one account on one chain. Shows its address and nothing else; cannot be pickled.

    Attributes:
        address: checksummed.
        chain_id: the only chain it signs for.
    """

    __slots__ = ("_account", "_key", "address", "chain_id")

    def __init__(self, key: bytes, *, chain_id: int) -> None:
        from coincurve import PrivateKey
        from eth_account import Account

        self._account: LocalAccount = Account.from_key(key)
        self._key = PrivateKey(key)
        self.address: str = str(self._account.address)
        self.chain_id = chain_id

    def sign(self, transaction: Mapping[str, Any]) -> SignedBytes:
        """Signs a transaction with JSON-RPC field names (`chainId`, `nonce`, `maxFeePerGas` …); below 1 ms.

        Raises:
            ValueError: the transaction is for another chain.
            TypeError: a field is missing or malformed.
        """
        from autometa_cli.feetransaction import FeeTransaction, transaction_hash

        if transaction.get("chainId") != self.chain_id:
            raise ValueError(f"this signer is for chain {self.chain_id}, not {transaction.get('chainId')}")
        plain = FeeTransaction.of(transaction)
        if plain is not None:
            raw = plain.signed(self._key.sign_recoverable(plain.digest, hasher=None))
            return SignedBytes(raw, transaction_hash(raw))
        signed = self._account.sign_transaction(dict(transaction))
        return SignedBytes(bytes(signed.raw_transaction), "0x" + bytes(signed.hash).hex())

    def __repr__(self) -> str:
        return f"<Signer {self.address}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer holds a private key and is never pickled or copied")


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where one of the keys comes from. Nothing is read before `load`.

    Attributes:
        name: "WORKER", "ADMIN" or "OWNER".
        test_keys_allowed: the chain is a local one, so the test accounts that everybody has may be used.
    """

    name: str
    test_keys_allowed: bool = False
    _values: Mapping[str, str] = field(default_factory=dict, repr=False)
    _origins: Mapping[str, str] = field(default_factory=dict, repr=False)

    FORMS = ("PRIVATE_KEY", "PRIVATE_KEY_FILE", "KEYSTORE", "KEY_COMMAND")

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that are set and name a key: none, one, or (wrongly) more."""
        names = (f"{self.name}_{form}" for form in self.FORMS)
        return tuple(name for name in names if self._values.get(name))

    @property
    def incomplete(self) -> bool:
        """Whether only something that goes with a key is set, such as a keystore's password."""
        return not self.variables and any(self._values.values())

    def load(self, *, chain_id: int) -> Signer:
        """Reads the key and checks it. Blocks: a keystore takes a second, a command up to 30.

        Raises:
            ConfigError: no form or more than one is set, it cannot be read, it is no key, or it is one that
                everybody has and the chain is not local.
        """
        variables = self.variables
        if not variables:
            raise self._missing()
        if len(variables) > 1:
            places = " and ".join(f"{name} ({self._origins.get(name, 'option')})" for name in variables)
            raise ConfigError(f"{places} are set; only one of them can be the key", "unset all but one")
        variable = variables[0]
        key = self._read(variable)
        conceal(key.hex())
        signer = Signer(key, chain_id=chain_id)
        if not self.test_keys_allowed and keys.is_public_knowledge(key, signer.address):
            raise ConfigError(
                f"{variable} is a test key that everybody has; chain {chain_id} is not a local one",
                "use a key of your own; on a local chain set NETWORK=local and a local RPC_URLS",
            )
        return signer

    def _read(self, variable: str) -> bytes:
        text = self._values[variable]
        if variable.endswith("_PRIVATE_KEY"):
            return keys.parse(text, variable)
        if variable.endswith("_PRIVATE_KEY_FILE"):
            return keys.parse(keys.read_file(text, variable), f"the file of {variable}")
        if variable.endswith("_KEY_COMMAND"):
            return keys.from_command(text, variable)
        password, password_variable = self._password(variable)
        return keys.from_keystore(text, password, variable, password_variable)

    def _password(self, variable: str) -> tuple[str, str]:
        plain, file = f"{variable}_PASSWORD", f"{variable}_PASSWORD_FILE"
        if self._values.get(plain) and self._values.get(file):
            raise ConfigError(f"{plain} and {file} are both set; only one can be the password")
        if self._values.get(plain):
            return self._values[plain], plain
        if self._values.get(file):
            password = keys.read_file(self._values[file], file).rstrip("\r\n")
            conceal(password)
            return password, file
        raise ConfigError(f"{variable} is set, but neither {plain} nor {file}", f"set {file} to its path")

    def _missing(self) -> ConfigError:
        name = self.name
        if self.incomplete:
            others = ", ".join(key for key, text in self._values.items() if text)
            return ConfigError(f"{others} is set, but not {name}_KEYSTORE", "set it to the keystore's path")
        return ConfigError(
            f"{name}_PRIVATE_KEY is not set",
            f"set it, or {name}_PRIVATE_KEY_FILE, or {name}_KEYSTORE with {name}_KEYSTORE_PASSWORD_FILE, "
            f"or {name}_KEY_COMMAND",
        )
