"""Contract interfaces from `abi/*.json`: functions, events and errors that encode and decode themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from eth_abi.decoding import ContextFramesBytesIO, TupleDecoder
from eth_abi.encoding import TupleEncoder
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.registry import registry
from eth_hash.auto import keccak

from autometa_cli.chain.words import BadEncoding
from autometa_cli.errors import ConfigError

# eth_abi is only partly typed.
_stream: Callable[[bytes], Any] = ContextFramesBytesIO
_tuple_encoder: Callable[..., Callable[[Sequence[Any]], bytes]] = TupleEncoder
_tuple_decoder: Callable[..., Callable[[Any], tuple[Any, ...]]] = TupleDecoder
_Entry = TypeVar("_Entry", "Function", "Event", "CustomError")


class _LogLike(Protocol):
    @property
    def topics(self) -> tuple[str, ...]: ...

    @property
    def data(self) -> bytes: ...


def _function(name: str, inputs: str, output: str) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "inputs": [{"name": "", "type": kind} for kind in inputs.split()],
        "outputs": [{"name": "", "type": output}],
    }


#: What every token has; the metadata functions are optional, and some tokens have them with other types.
_IERC20 = (
    _function("transfer", "address uint256", "bool"),
    _function("approve", "address uint256", "bool"),
    _function("balanceOf", "address", "uint256"),
    _function("allowance", "address address", "uint256"),
    _function("totalSupply", "", "uint256"),
    _function("symbol", "", "string"),
    _function("decimals", "", "uint8"),
    {
        "type": "event",
        "name": "Transfer",
        "inputs": [
            {"name": "from", "type": "address", "indexed": True},
            {"name": "to", "type": "address", "indexed": True},
            {"name": "value", "type": "uint256", "indexed": False},
        ],
    },
)


class Codec:
    """Encodes and decodes one list of ABI types. Made once: finding eth_abi's coders is the slow part."""

    def __init__(self, types: Sequence[str], what: str) -> None:
        self.types = tuple(types)
        self._what = what
        self._encoder = _tuple_encoder(encoders=tuple(registry.get_encoder(kind) for kind in types))
        self._decoder = _tuple_decoder(decoders=tuple(registry.get_decoder(kind) for kind in types))

    def encode(self, values: Sequence[Any]) -> bytes:
        """Raises BadEncoding when the values do not fit the types."""
        try:
            return bytes(self._encoder(values))
        except (EncodingError, ValueError, TypeError, OverflowError) as error:
            raise BadEncoding(f"{self._what} cannot be encoded: {error}") from None

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """Raises BadEncoding when the data is too short or malformed. Addresses are lower case."""
        try:
            return tuple(self._decoder(_stream(data)))
        except (DecodingError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
            raise BadEncoding(f"{self._what} cannot be decoded: {error}") from None


class Function:
    """One function of a contract.

    Attributes:
        name: without arguments.
        signature: `name(type,…)`.
        selector: its first four bytes on the wire.
        input_types: ABI types of the arguments.
    """

    def __init__(self, abi: Mapping[str, Any]) -> None:
        self.name: str = abi["name"]
        self.input_types = _types(abi["inputs"])
        self.signature = f"{self.name}({','.join(self.input_types)})"
        self.selector = keccak(self.signature.encode())[:4]
        self._inputs = Codec(self.input_types, f"the arguments of {self.name}")
        self._outputs = Codec(_types(abi.get("outputs", ())), f"the result of {self.name}")

    def __repr__(self) -> str:
        return f"Function({self.signature})"

    def encode(self, *args: Any) -> bytes:
        """Selector and arguments. Raises BadEncoding."""
        return self.selector + self._inputs.encode(args)

    def encode_args(self, *args: Any) -> bytes:
        """The arguments alone. Raises BadEncoding."""
        return self._inputs.encode(args)

    def decode_inputs(self, data: bytes) -> tuple[Any, ...]:
        """The arguments out of call data.

        Raises:
            BadEncoding: another selector, or data that `encode` would not have written.
        """
        if data[:4] != self.selector:
            raise BadEncoding(f"this is no call of {self.name}: the selector is 0x{data[:4].hex()}")
        args = self._inputs.decode(data[4:])
        if self._inputs.encode(args) != data[4:]:
            raise BadEncoding(f"the arguments of {self.name} are not in the plain encoding")
        return args

    def decode(self, output: bytes) -> tuple[Any, ...]:
        """What a call returned. Raises BadEncoding."""
        return self._outputs.decode(output)


class Event:
    """One event of a contract; `topic` is its first topic, 0x and 64 digits."""

    def __init__(self, abi: Mapping[str, Any]) -> None:
        self.name: str = abi["name"]
        types = _types(abi["inputs"])
        self.signature = f"{self.name}({','.join(types)})"
        self.topic = "0x" + keccak(self.signature.encode()).hex()
        fields = [
            (entry["name"], kind, entry["indexed"]) for entry, kind in zip(abi["inputs"], types, strict=True)
        ]
        self._indexed = [(name, _topic_codec(name, kind)) for name, kind, indexed in fields if indexed]
        self._plain = [name for name, _, indexed in fields if not indexed]
        plain_types = [kind for _, kind, indexed in fields if not indexed]
        self._data = Codec(plain_types, f"the data of the event {self.name}")

    def __repr__(self) -> str:
        return f"Event({self.signature})"

    def decode(self, log: _LogLike) -> dict[str, Any]:
        """The event's fields by name. Raises BadEncoding for a log of another event, or malformed."""
        if not log.topics or log.topics[0].lower() != self.topic:
            raise BadEncoding(f"this log is no {self.name}")
        if len(log.topics) != len(self._indexed) + 1:
            raise BadEncoding(f"this {self.name} has {len(log.topics)} topics, not {len(self._indexed) + 1}")
        fields: dict[str, Any] = {}
        for (name, codec), topic in zip(self._indexed, log.topics[1:], strict=True):
            fields[name] = codec.decode(_word(topic))[0]
        fields.update(zip(self._plain, self._data.decode(log.data), strict=True))
        return fields


class CustomError:
    """One custom error of a contract."""

    def __init__(self, abi: Mapping[str, Any]) -> None:
        self.name: str = abi["name"]
        self.fields = tuple(entry["name"] for entry in abi["inputs"])
        types = _types(abi["inputs"])
        self.signature = f"{self.name}({','.join(types)})"
        self.selector = keccak(self.signature.encode())[:4]
        self._codec = Codec(types, f"the error {self.name}")

    def __repr__(self) -> str:
        return f"CustomError({self.signature})"

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """The values in revert data that begins with this error's selector. Raises BadEncoding."""
        if data[:4] != self.selector:
            raise BadEncoding(f"this is no {self.name}")
        return self._codec.decode(data[4:])


@dataclass(frozen=True, slots=True)
class ContractInterface:
    """What a compiled contract can do.

    Attributes:
        name: the contract's.
        abi: as the compiler wrote it.
        bytecode: what is deployed, without the constructor's arguments; empty for an interface.
        functions, events, errors: by name. None of our contracts overloads a name.
        constructor: encodes the constructor's arguments.
    """

    name: str
    abi: tuple[Mapping[str, Any], ...]
    bytecode: bytes
    functions: Mapping[str, Function]
    events: Mapping[str, Event]
    errors: Mapping[str, CustomError]
    constructor: Codec

    def deploy_data(self, *args: Any) -> bytes:
        """Bytecode and constructor arguments: the data of the transaction that creates it."""
        return self.bytecode + self.constructor.encode(args)


@cache
def interface(name: str) -> ContractInterface:
    """The contract `name` of `abi/` (or `abi/test/`), from the wheel or the source tree; and `IERC20`.

    Raises ConfigError where there is no such file, which is an incomplete installation.
    """
    for artifact in _artifacts(name):
        entries = tuple(artifact["abi"])
        constructors = [entry for entry in entries if entry["type"] == "constructor"]
        inputs = constructors[0]["inputs"] if constructors else ()
        return ContractInterface(
            name=name,
            abi=entries,
            bytecode=bytes.fromhex(artifact.get("bytecode", "0x")[2:]),
            functions=_by_name(Function(entry) for entry in entries if entry["type"] == "function"),
            events=_by_name(Event(entry) for entry in entries if entry["type"] == "event"),
            errors=_by_name(CustomError(entry) for entry in entries if entry["type"] == "error"),
            constructor=Codec(_types(inputs), f"the constructor's arguments of {name}"),
        )
    raise ConfigError(f"abi/{name}.json is missing from this installation", "install autometa again")


def _artifacts(name: str) -> Iterator[Mapping[str, Any]]:
    if name == "IERC20":
        yield {"abi": _IERC20}
    packaged, source = files("autometa_cli"), Path(__file__).parents[2]
    for folder in (packaged / "abi", packaged / "abi" / "test", source / "abi", source / "abi" / "test"):
        file = folder / f"{name}.json"
        if file.is_file():
            yield json.loads(file.read_text(encoding="utf-8"))


def _by_name(entries: Iterator[_Entry]) -> Mapping[str, _Entry]:
    return MappingProxyType({entry.name: entry for entry in entries})


def _types(inputs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(_type(entry) for entry in inputs)


def _type(entry: Mapping[str, Any]) -> str:
    kind = str(entry["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_types(entry['components']))}){kind.removeprefix('tuple')}"


def _topic_codec(name: str, kind: str) -> Codec:
    # Of an indexed value of variable size only the hash is in the log.
    dynamic = kind in ("bytes", "string") or kind.endswith("]") or kind.startswith("(")
    return Codec(("bytes32",) if dynamic else (kind,), f"the topic {name}")


def _word(topic: str) -> bytes:
    try:
        return bytes.fromhex(topic.removeprefix("0x"))
    except ValueError:
        raise BadEncoding(f"a topic is not hexadecimal: {topic[:40]!r}") from None
