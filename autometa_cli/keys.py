"""Private keys: from any form a person may keep one in, to 32 checked bytes. No message repeats any of it.

Raises inside `except` blocks are `from None`: the exceptions of `int`, `bytes.fromhex` and the codecs carry
the text that they choked on, and a traceback would print it.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

from autometa_cli.errors import ConfigError

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
COMMAND_TIMEOUT_SECONDS = 30
#: A random key below this does not happen; 1, 2, 3 … are everybody's keys.
SMALLEST_SERIOUS_KEY = 2**128
_FILE_LIMIT_BYTES = 64 * 1024

#: Accounts whose keys are printed in public documentation (anvil and Hardhat; Moonbeam's Alith, Baltathar
#: and so on; Ganache), lower-case. Held by address, so that no key, not even a public one, stands in this
#: file; tests/test_secrets.py derives them again from the published phrases.
_PUBLISHED = """
    f39fd6e51aad88f6f4ce6ab8827279cfffb92266 70997970c51812dc3a010c7d01b50e0d17dc79c8
    3c44cdddb6a900fa2b585dd299e03d12fa4293bc 90f79bf6eb2c4f870365e785982e1f101e93b906
    15d34aaf54267db7d7c367839aaf71a00a2c6a65 9965507d1a55bcc2695c58ba16fb37d819b0a4dc
    976ea74026e726554db657fa54763abd0c3a0aa9 14dc79964da2c08b23698b3d3cc7ca32193d9955
    23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f a0ee7a142d267c1f36714e4a8f75612f20a79720
    bcd4042de499d14e55001ccbb24a551f3b954096 71be63f3384f5fb98995898a86b02fb2426c5788
    fabb0ac9d68b0b445fb7357272ff202c5651694a 1cbd3b2770909d4e10f157cabc84c7264073c9ec
    df3e18d64bc6a983f673ab319ccae4f1a57c7097 cd3b766ccdd6ae721141f452c550ca635964ce71
    2546bcd3c84621e976d8185a91a922ae77ecec30 bda5747bfd65f08deb54cb465eb87d40e51b197e
    dd2fd4581271e230360230f9337d5c0430bf44c0 8626f6940e2eb28930efb4cef49b2d1f2c9c1199

    f24ff3a9cf04c71dbc94d0b566f7a27b94566cac 3cd0a705a2dc65e5b1e1205896baa2be8a07c6e0
    798d4ba9baf0064ec19eb4f0a1a45785ae9d6dfc 773539d4ac0e786233d90a233654ccee26a613d9
    ff64d3f6efe2317ee2807d223a0bdc4c0c49dfdb c0f0f4ab324c46e55d02d0033343b4be8a55532d
    7bf369283338e12c90514468aa3868a551ab2929 931f3600a299fd9b24cefb3bff79388d19804bea
    c41c5f1123eccd5ce233578b2e7ebd5693869d73 2898fe7a42be376c8bc7af536a940f7fd5add423

    90f8bf6a479f320ead074411a4b0e7944ea8c9c1 ffcf8fdee72ac11b5c542428b35eef5769c409f0
    22d491bde2303f2f43325b2108d26f1eaba1e32b e11ba2b4d45eaed5996cd0823791e0c93114882d
    d03ea8624c8c5987235048901fb614fdca89b117 95ced938f7991cd0dfcb48f0a06a40fa1af46ebc
    3e5e9111ae8eb78fe1cc3bb8915d5d461f3ef9a9 28a8746e75304c0780e011bed21c72cd78cd535e
    aca94ef8bd5ffee41947b4585a84bda5a3d3da6e 1df62f291b2e969fb0849d99d9ce41e2f137006e
"""
WELL_KNOWN_ACCOUNTS = frozenset(f"0x{digits}" for digits in _PUBLISHED.split())


def parse(text: str, variable: str) -> bytes:
    """A private key as typed (64 hex digits, 0x or not, blanks around it) to its 32 bytes.

    Args:
        text: what stands in the variable, file or output.
        variable: its name, for the message.

    Raises:
        ConfigError: what is wrong with it, without any part of it.
    """
    text = text.strip()
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    form = "a private key has 64 hex digits, with 0x in front or without"
    if not text:
        raise ConfigError(f"{variable} is empty; {form}")
    if text.startswith("{"):
        raise ConfigError(
            f"{variable} looks like an encrypted keystore (JSON), not a private key",
            f"put the path of that file into {variable.partition('_')[0]}_KEYSTORE",
        )
    if len(text.split()) >= 12 and re.fullmatch(r"[A-Za-z\s]+", text):
        raise ConfigError(
            f"{variable} looks like a recovery phrase of {len(text.split())} words; {form}",
            "derive the account's private key with your wallet, and keep the phrase out of this machine",
        )
    if len(digits) == 40 and re.fullmatch(r"[0-9a-fA-F]+", digits):
        raise ConfigError(
            f"{variable} looks like an address (40 hex digits), not a private key; {form}",
            "export the private key of that address from the wallet that holds it",
        )
    if len(digits) != 64:
        count = f"{len(digits)} character{'' if len(digits) == 1 else 's'}"
        raise ConfigError(f"{variable} has {count}{' after 0x' if digits != text else ''}; {form}")
    wrong = re.search(r"[^0-9a-fA-F]", digits)
    if wrong:
        position = wrong.start() + 1 + len(text) - len(digits)
        raise ConfigError(f"{variable} has a character at position {position} that is no hex digit; {form}")
    number = int(digits, 16)
    if number == 0:
        raise ConfigError(f"{variable} is all zeros, which is not a key", "put the worker's real key there")
    if number >= CURVE_ORDER:
        raise ConfigError(f"{variable} is not a valid private key: it is beyond the order of secp256k1")
    return number.to_bytes(32, "big")


def is_public_knowledge(key: bytes, address: str) -> bool:
    """Whether everybody has this key: test accounts of anvil, Hardhat, Ganache, Moonbeam, and 1, 2, 3 …"""
    return address.lower() in WELL_KNOWN_ACCOUNTS or int.from_bytes(key, "big") < SMALLEST_SERIOUS_KEY


def read_file(path: str, variable: str) -> str:
    """The text of a secret file. Raises ConfigError; shows the path unless it looks like a key."""
    if re.fullmatch(r"(0[xX])?[0-9a-fA-F]{32,}", path) or len(path.split()) >= 12 or "\n" in path:
        raise ConfigError(
            f"{variable} looks like a secret itself; it takes the path of a file that holds it",
            f"put the secret into a file, and the path of that file into {variable}",
        )
    try:
        with Path(path).expanduser().open("rb") as file:
            content = file.read(_FILE_LIMIT_BYTES + 1)
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the path cannot be used"
        raise ConfigError(f"{variable}: {path} cannot be read: {reason}") from None
    if len(content) > _FILE_LIMIT_BYTES:
        raise ConfigError(f"{variable}: {path} is larger than {_FILE_LIMIT_BYTES} bytes, so not a key")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{variable}: {path} is not a text file") from None


def from_keystore(path: str, password: str, variable: str, password_variable: str) -> bytes:
    """Decrypts a keystore (Web3 Secret Storage v3); takes about a second, on purpose. Raises ConfigError."""
    import json

    from eth_account import Account

    content = read_file(path, variable)
    try:
        document = json.loads(content)
    except ValueError:
        raise ConfigError(f"{variable}: {path} is not a keystore: it holds no JSON") from None
    if not isinstance(document, dict) or not {"crypto", "Crypto"} & document.keys():
        raise ConfigError(f"{variable}: {path} is not a keystore: it has no 'crypto' entry")
    try:
        key = Account.decrypt(document, password)
    except Exception as error:  # whatever a damaged file makes the library raise; the text may hold secrets
        if isinstance(error, ValueError) and "MAC" in str(error):
            raise ConfigError(
                f"{password_variable} does not open {variable} ({path})",
                "check the password; a file's last line end is ignored, other blanks count",
            ) from None
        raise ConfigError(f"{variable}: {path} is damaged or of an unknown kind") from None
    return parse(bytes(key).hex(), variable)


def from_command(command: str, variable: str) -> bytes:
    """Runs `command` without a shell; what it prints is the key. Raises ConfigError, without that output."""
    try:
        words = shlex.split(command)
    except ValueError:
        raise ConfigError(f"{variable}: the quotes in it do not close") from None
    if not words:
        raise ConfigError(f"{variable} is empty")
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{variable} did not end within {COMMAND_TIMEOUT_SECONDS} s",
            "run it by hand: it must not ask for anything",
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a command"
        raise ConfigError(
            f"{variable} cannot be started: {reason}",
            "it is run without a shell: give the program's full path; for pipes use sh -c '…'",
        ) from None
    if done.returncode != 0:
        raise ConfigError(
            f"{variable} ended with exit status {done.returncode}",
            "run it by hand to see why; its output is not shown here because it may hold the key",
        )
    try:
        return parse(done.stdout.decode("utf-8"), f"the output of {variable}")
    except UnicodeDecodeError:
        raise ConfigError(f"the output of {variable} is not text") from None
