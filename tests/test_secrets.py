"""Keys in every form, and what is never shown."""

from __future__ import annotations

import copy
import json
import pickle
import re
import sys
import time
import traceback
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli import config, keys, secrets
from autometa_cli.errors import ConfigError
from autometa_cli.secrets import HIDDEN, Signer, mask, redact_url, redact_urls, scrub

KEY = "0x" + "1234567890abcdef" * 4
ADDRESS = Account.from_key(KEY).address
#: The first account of anvil and Hardhat; its key is printed at every start.
ANVIL_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
TRANSACTION = {
    "type": 2,
    "chainId": 1287,
    "nonce": 5,
    "gas": 300_000,
    "maxFeePerGas": 10**9,
    "maxPriorityFeePerGas": 10**8,
    "to": "0x1Cb45BceCC3f0CEd2875b49d4f6dd5543B2bD559",
    "value": 0,
    "data": b"\x12" * 300,
}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def signer(**environ: str) -> Signer:
    settings = config.load(environ=environ)
    return settings.worker_key().load(chain_id=settings.chain_id)


def error(**environ: str) -> ConfigError:
    """What is said when the key cannot be had. Nothing of any given value may be in it."""
    with pytest.raises(ConfigError) as caught:
        signer(**environ)
    said = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    for name, value in environ.items():
        digits = value.strip().removeprefix("0x")
        if name.endswith("PRIVATE_KEY") and len(digits) > 8:
            assert digits[:8] not in said
            assert digits[-8:] not in said
    return caught.value


# --- forms


def test_private_key_in_the_environment() -> None:
    for text in (KEY, KEY[2:], f"  {KEY}\t", KEY.upper().replace("0X", "0x"), KEY.replace("0x", "0X")):
        assert signer(WORKER_PRIVATE_KEY=text).address == ADDRESS


def test_private_key_in_a_file(directory: Path) -> None:
    (directory / "key").write_text(f"{KEY}\n")

    assert signer(WORKER_PRIVATE_KEY_FILE="key").address == ADDRESS


def test_private_key_in_the_dotenv_file(directory: Path) -> None:
    (directory / ".env").write_text(f"ADMIN_PRIVATE_KEY={KEY}\n")

    source = config.load(environ={}).admin_key()

    assert source.variables == ("ADMIN_PRIVATE_KEY",)
    assert source.load(chain_id=1).address == ADDRESS


@pytest.fixture(scope="module")
def keystore() -> str:
    """Encrypted with "open sesame"; scrypt is slow on purpose, so made once, and cheap."""
    return json.dumps(Account.encrypt(bytes.fromhex(KEY[2:]), "open sesame", kdf="scrypt", iterations=2))


def test_keystore_with_a_password(directory: Path, keystore: str) -> None:
    (directory / "worker.json").write_text(keystore)
    (directory / "password").write_text("open sesame\n")

    assert signer(WORKER_KEYSTORE="worker.json", WORKER_KEYSTORE_PASSWORD="open sesame").address == ADDRESS
    assert signer(WORKER_KEYSTORE="worker.json", WORKER_KEYSTORE_PASSWORD_FILE="password").address == ADDRESS


def test_keystore_errors(directory: Path, keystore: str) -> None:
    (directory / "worker.json").write_text(keystore)
    (directory / "plain").write_text(KEY)
    (directory / "damaged").write_text(keystore.replace('"ciphertext"', '"text"'))
    (directory / "list").write_text("[1]")

    def said(**environ: str) -> str:
        return error(**environ).message

    wrong = said(WORKER_KEYSTORE="worker.json", WORKER_KEYSTORE_PASSWORD="open says me")
    assert wrong == "WORKER_KEYSTORE_PASSWORD does not open WORKER_KEYSTORE (worker.json)"
    assert "neither WORKER_KEYSTORE_PASSWORD nor WORKER_KEYSTORE_PASSWORD_FILE" in said(
        WORKER_KEYSTORE="worker.json"
    )
    assert "both set" in said(
        WORKER_KEYSTORE="worker.json", WORKER_KEYSTORE_PASSWORD="a", WORKER_KEYSTORE_PASSWORD_FILE="b"
    )
    for name, what in (("plain", "holds no JSON"), ("list", "no 'crypto' entry"), ("damaged", "is damaged")):
        assert what in said(WORKER_KEYSTORE=name, WORKER_KEYSTORE_PASSWORD="open sesame")
    assert "is set, but not WORKER_KEYSTORE" in said(WORKER_KEYSTORE_PASSWORD="open sesame")


def test_key_command() -> None:
    command = f"{sys.executable} -c \"print('{KEY}')\""

    assert signer(WORKER_KEY_COMMAND=command).address == ADDRESS


def test_key_command_runs_without_a_shell(directory: Path) -> None:
    failed = error(WORKER_KEY_COMMAND=f"echo {KEY} > stolen")

    assert "the output of WORKER_KEY_COMMAND has" in failed.message
    assert not (directory / "stolen").exists()


def test_key_command_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    python = sys.executable
    cases = {
        f"{python} -c 'print(\"SECRETOUTPUT\"); raise SystemExit(4)'": "ended with exit status 4",
        f"{python} -c 'import sys; sys.exit(\"SECRETOUTPUT\")'": "ended with exit status 1",
        f"{python} -c 'print(\"SECRETOUTPUT\")'": "the output of WORKER_KEY_COMMAND has 12 characters",
        f"{python} -c ''": "the output of WORKER_KEY_COMMAND is empty",
        f"{python} -c 'import sys; sys.stdout.buffer.write(bytes([255]))'": "is not text",
        "/nowhere/SECRETOUTPUT": "cannot be started: No such file or directory",
        "'SECRETOUTPUT": "the quotes in it do not close",
    }
    for command, what in cases.items():
        failed = error(WORKER_KEY_COMMAND=command)
        assert what in failed.message
        assert "SECRETOUTPUT" not in failed.message + failed.hint

    monkeypatch.setattr(keys, "COMMAND_TIMEOUT_SECONDS", 0.2)
    began = time.monotonic()
    assert "did not end" in error(WORKER_KEY_COMMAND="sleep 20").message
    assert time.monotonic() - began < 10


def test_key_command_cannot_read_the_terminal() -> None:
    """It would wait for an answer that nobody can give."""
    failed = error(WORKER_KEY_COMMAND=f"{sys.executable} -c 'input()'")

    assert "ended with exit status 1" in failed.message


def test_more_than_one_form_is_refused(directory: Path) -> None:
    (directory / ".env").write_text("WORKER_KEYSTORE=k.json\n")

    failed = error(WORKER_PRIVATE_KEY=KEY)

    assert failed.message == (
        "WORKER_PRIVATE_KEY (environment) and WORKER_KEYSTORE (.env) are set; only one of them can be the key"
    )


def test_no_form_names_them_all() -> None:
    failed = error()

    assert failed.message == "WORKER_PRIVATE_KEY is not set"
    for form in ("WORKER_PRIVATE_KEY_FILE", "WORKER_KEYSTORE", "WORKER_KEY_COMMAND"):
        assert form in failed.hint


def test_the_keys_do_not_mix() -> None:
    settings = config.load(environ={"WORKER_PRIVATE_KEY": KEY, "ADMIN_PRIVATE_KEY": "0x" + "22" * 32})

    assert settings.worker_key().load(chain_id=1).address == ADDRESS
    assert settings.admin_key().load(chain_id=1).address != ADDRESS
    assert settings.owner_key().variables == ()


# --- what is no key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0x" + "0" * 64, "is all zeros"),
        ("f" * 64, "beyond the order of secp256k1"),
        (f"{keys.CURVE_ORDER:064x}", "beyond the order of secp256k1"),
        (KEY[:-1], "has 63 characters after 0x; a private key has 64 hex digits"),
        (KEY + "a", "has 65 characters after 0x"),
        (KEY[2:-2] + "zz", "has a character at position 63 that is no hex digit"),
        (KEY[:-1] + "g", "has a character at position 66 that is no hex digit"),
        (KEY[:-1] + "٣", "has a character at position 66 that is no hex digit"),
        (ADDRESS, "looks like an address (40 hex digits), not a private key"),
        (ADDRESS[2:], "looks like an address"),
        ("test test test test test test test test test test test junk", "looks like a recovery phrase of 12"),
        ('{"crypto": {}}', "looks like an encrypted keystore"),
        ("changeme", "has 8 characters; a private key has 64"),
        (f"{KEY} {KEY}", "a private key has 64"),
    ],
)
def test_what_is_no_key_is_called_what_it_is(text: str, said: str) -> None:
    failed = error(WORKER_PRIVATE_KEY=text)

    assert failed.message.startswith("WORKER_PRIVATE_KEY ")
    assert said in failed.message


@given(st.text(max_size=70) | st.text("0123456789abcdefxX ", max_size=70))
def test_any_text_is_a_key_or_a_config_error(text: str) -> None:
    try:
        key = keys.parse(text, "X")
    except ConfigError:
        return
    assert len(key) == 32
    assert 0 < int.from_bytes(key, "big") < keys.CURVE_ORDER


@pytest.mark.parametrize(
    "form", ["WORKER_PRIVATE_KEY_FILE", "WORKER_KEYSTORE", "WORKER_KEYSTORE_PASSWORD_FILE"]
)
def test_a_key_in_the_place_of_a_path_is_not_repeated(form: str, directory: Path) -> None:
    (directory / "k").write_text('{"crypto": {}}')
    environ = (
        {form: KEY[2:]} if form != "WORKER_KEYSTORE_PASSWORD_FILE" else {"WORKER_KEYSTORE": "k", form: KEY}
    )
    environ |= {"WORKER_KEYSTORE_PASSWORD": "x"} if form == "WORKER_KEYSTORE" else {}

    failed = error(**environ)

    assert "looks like a secret itself" in failed.message
    assert KEY[2:10] not in failed.message + failed.hint


def test_files_that_cannot_be_read(directory: Path) -> None:
    (directory / "binary").write_bytes(b"\xff\xfe")
    (directory / "large").write_bytes(b"a" * 70_000)

    cases = {
        "nowhere": "nowhere cannot be read: No such file or directory",
        ".": ". cannot be read: Is a directory",
        "binary": "binary is not a text file",
        "large": "large is larger than 65536 bytes",
        "~nobody-here/key": "cannot be read",
        "a\0b": "cannot be read",
    }
    for path, said in cases.items():
        with pytest.raises(ConfigError, match=re.escape(said)):
            keys.read_file(path, "X")


# --- keys that everybody has


def test_published_phrases_give_the_listed_accounts() -> None:
    Account.enable_unaudited_hdwallet_features()
    phrases = {
        "test test test test test test test test test test test junk": 20,
        "bottom drive obey lake curtain smoke basket hold race lonely fit walk": 10,
        "myth like bonus scare over problem client lizard pioneer submit female collect": 10,
    }
    derived = {
        Account.from_mnemonic(phrase, account_path=f"m/44'/60'/0'/0/{index}").address.lower()
        for phrase, count in phrases.items()
        for index in range(count)
    }

    assert derived == keys.WELL_KNOWN_ACCOUNTS


@pytest.mark.parametrize("key", [ANVIL_KEY, "0x" + "0" * 63 + "1", "0x" + "0" * 33 + "f" * 31])
def test_test_keys_are_for_local_chains(key: str) -> None:
    for environ in ({}, {"NETWORK": "moonbeam"}, {"CHAIN_ID": "31337", "RPC_URLS": "http://127.0.0.1:1"}):
        failed = error(WORKER_PRIVATE_KEY=key, **environ)
        assert "is a test key that everybody has" in failed.message
        assert "NETWORK=local" in failed.hint

    assert signer(WORKER_PRIVATE_KEY=key, NETWORK="local").address.startswith("0x")


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:8545", True),
        ("http://127.0.0.1:8545", True),
        ("http://[::1]:8545", True),
        ("http://anvil:8545", True),
        ("http://10.1.2.3:8545", True),
        ("http://chain.internal:8545", True),
        ("https://rpc.api.moonbase.moonbeam.network", False),
        ("http://8.8.8.8:8545", False),
        ("http://127.0.0.1:8545,https://rpc.api.moonbase.moonbeam.network", False),
    ],
)
def test_calling_a_public_endpoint_local_does_not_help(url: str, local: bool) -> None:
    environ = {"WORKER_PRIVATE_KEY": ANVIL_KEY, "NETWORK": "local", "RPC_URLS": url}

    if local:
        signer(**environ)
    else:
        assert "test key" in error(**environ).message


# --- the signer


def test_signed_bytes_are_those_of_the_library() -> None:
    mine = signer(WORKER_PRIVATE_KEY=KEY).sign(TRANSACTION)
    theirs = Account.sign_transaction(TRANSACTION, KEY)

    assert mine.raw == bytes(theirs.raw_transaction)
    assert mine.hash == theirs.hash.to_0x_hex()
    assert Account.recover_transaction(mine.raw) == ADDRESS


def test_a_signer_is_for_one_chain() -> None:
    with pytest.raises(ValueError, match="for chain 1287, not 1284"):
        signer(WORKER_PRIVATE_KEY=KEY).sign({**TRANSACTION, "chainId": 1284})
    without = {name: value for name, value in TRANSACTION.items() if name != "chainId"}
    with pytest.raises(ValueError, match="not None"):
        signer(WORKER_PRIVATE_KEY=KEY).sign(without)


def test_a_signer_shows_its_address_and_nothing_else() -> None:
    worker = signer(WORKER_PRIVATE_KEY=KEY)

    assert repr(worker) == str(worker) == f"<Signer {ADDRESS}>"
    assert not hasattr(worker, "__dict__")
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never pickled"):
            attempt(worker)


def test_signing_uses_the_fast_library() -> None:
    """coincurve signs in 0.1 ms, pure Python in 20: eth-keys falls back to it without a word."""
    from eth_keys.backends import get_default_backend_class

    assert get_default_backend_class() == "eth_keys.backends.CoinCurveECCBackend"


# --- what is never shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h.example", "https://h.example"),
        ("https://h.example/", "https://h.example"),
        ("https://h.example:8545/v2/KEY?x=y#z", "https://h.example:8545/…"),
        ("https://user:pass@h.example:1", "https://h.example:1"),
        ("HTTPS://h.example?key=KEY", "https://h.example/…"),
        ("http://[::1]:8545/x", "http://[::1]:8545/…"),
        ("redis://:pa:ss@h:6379/3", "redis://h:6379/3"),
        ("redis://h:6379/3?password=x", "redis://h:6379/…"),
        ("rediss://user:p@ss@h", "rediss://h"),
        ("redis+sentinel://:pw@a:26379,b:26379/main/0", "redis+sentinel://a:26379,b:26379/…"),
        ("unix:///run/redis.sock?password=x", "unix:///run/redis.sock"),
        ("unix://:pw@/run/redis.sock", "unix:///run/redis.sock"),
        ("redis://:pa/ss@h:6379/0", "redis://…"),
        ("redis://:pa#ss@h:6379/0", "redis://…"),
        ("redis://:secret", "redis://…"),
        ("https://", "https://…"),
        ("not a url", "…"),
        ("", "…"),
    ],
)
def test_redacted_urls(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@given(
    st.sampled_from(["redis", "https", "redis+sentinel"]),
    st.text("abcXYZ019/#?@:%& ", min_size=1, max_size=12).map(lambda text: f"S3C{text}R3T"),
    st.sampled_from([":{}@h.example:1/0", "u:{}@h", "h.example/{}", "h?k={}", "u{}@h/0"]),
)
def test_no_secret_survives_in_a_redacted_url(scheme: str, secret: str, form: str) -> None:
    shown = redact_url(f"{scheme}://{form.format(secret)}")

    assert "S3C" not in shown
    assert "R3T" not in shown


def test_urls_inside_a_text() -> None:
    text = "cannot reach https://h.example/v2/KEY, nor (redis://:pw@r:1/0)."

    assert redact_urls(text) == "cannot reach https://h.example/…, nor (redis://r:1/0)."


def test_scrub_hides_what_may_be_a_key() -> None:
    assert scrub(f"unexpected extra argument ({KEY})") == "unexpected extra argument (…)"
    assert scrub(f"no such file: {KEY[2:]}") == "no such file: …"
    assert scrub(ADDRESS) == ADDRESS


def test_mask_hides_what_was_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_concealed", set())
    environ = {
        "REDIS_URL": "redis://user:pass%20word1@h:1/0",
        "RPC_URLS": "https://h.example/v2/0123456789abcdefgh?token=fedcba9876543210xx",
        "WORKER_PRIVATE_KEY": KEY,
        "OWNER_KEYSTORE_PASSWORD": "open sesame",
        "ADMIN_KEY_COMMAND": "vault read -token=s.abcdef",
    }
    signer(**environ)

    assert mask(f"key {KEY} or {KEY[2:].upper()}") == f"key {HIDDEN} or {HIDDEN}"
    assert mask("pass word1 and pass%20word1") == f"{HIDDEN} and {HIDDEN}"
    assert mask("/v2/0123456789abcdefgh") == f"/v2/{HIDDEN}"
    assert mask("fedcba9876543210xx, open sesame") == f"{HIDDEN}, {HIDDEN}"
    assert mask("vault read -token=s.abcdef") == HIDDEN
    assert mask(f"harmless {ADDRESS}") == f"harmless {ADDRESS}"
