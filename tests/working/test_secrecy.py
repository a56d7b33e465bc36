"""No secret is ever shown by a worker: not in its log, not in what it prints, not in Redis (I7)."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from eth_account import Account

from autometa_cli.devnet.server import ValkeyProcess
from tests.network import LiveNetwork
from tests.working.process import worker_process
from tests.working.proxy import proxied
from tests.working.stage import no_mining, staged

REDIS_PASSWORD = "r3dis-Passw0rd-xyzzy"
RPC_KEY = "ap1key-0123456789abcdef"
KEYSTORE_PASSWORD = "keyst0re-Passw0rd-plugh"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_whole_life_shows_no_secret(
    own_network: LiveNetwork, own_redis: ValkeyProcess, tmp_path: Path, log_format: str
) -> None:
    """Keystore, password in REDIS_URL, key in RPC_URLS; work, every kind of trouble, a traceback, an interruption."""
    network = own_network
    key = network.accounts["worker"].private_key
    keystore = tmp_path / "keystore.json"
    keystore.write_text(
        json.dumps(Account.encrypt(bytes.fromhex(key[2:]), KEYSTORE_PASSWORD, kdf="pbkdf2", iterations=2))
    )
    keystore.chmod(0o600)
    password_file = tmp_path / "password"
    password_file.write_text(KEYSTORE_PASSWORD + "\n")
    password_file.chmod(0o600)

    async def scenario() -> str:
        async with staged(network) as stage, proxied(network.rpc_url) as wire:
            await stage.queue.redis.execute_command(
                "ACL", "SETUSER", "worker", "on", f">{REDIS_PASSWORD}", "~*", "&*", "+@all"
            )
            parts = urlsplit(network.redis_url)
            ids, more = await stage.made(3), await stage.made(3)
            settings = {
                "REDIS_URL": f"redis://worker:{REDIS_PASSWORD}@{parts.hostname}:{parts.port}{parts.path}",
                "RPC_URLS": f"http://somebody:{RPC_KEY}@127.0.0.1:{wire.port}/?token={RPC_KEY}",
                "WORKER_PRIVATE_KEY": "",
                "ADMIN_PRIVATE_KEY": "",
                "OWNER_PRIVATE_KEY": "",
                "WORKER_KEYSTORE": str(keystore),
                "WORKER_KEYSTORE_PASSWORD_FILE": str(password_file),
                "LOG_LEVEL": "debug",
                "LOG_FORMAT": log_format,
            }
            with worker_process(network, tmp_path / "run", **settings) as process:
                await stage.until(process.ready, "the process to be ready", 60)
                await stage.enqueue(*ids)
                await stage.push(
                    b"garbage " + key.encode(), {"workflowId": ids[0], "nextRun": 5, "note": key}
                )
                await stage.until(stage.settled(ids), "the first to run")
                await wire.cut()
                await stage.until(lambda: "taking no jobs" in process.output, "it to miss the chain")
                await wire.start()
                async with no_mining(network):
                    await stage.enqueue(*more)

                    async def sent() -> bool:
                        return sum(r.state == "signed" for r in await stage.records()) == 3

                    await stage.until(sent, "the rest to be sent", 60)
                    # Something of the wrong type where a script looks: an error that quotes what it was given.
                    await stage.queue.redis.rename(stage.queue.keys.open, "aside")
                    await stage.queue.redis.set(stage.queue.keys.open, "x")
                    await stage.until(lambda: "it must be a zset" in process.output, "it to stumble")
                    await stage.queue.redis.delete(stage.queue.keys.open)
                    await stage.queue.redis.rename("aside", stage.queue.keys.open)
                    await stage.until(lambda: "mended (redis)" in process.output, "it to go on")
                    await asyncio.to_thread(own_redis.stop)
                    await stage.until(lambda: "taking no jobs: Redis" in process.output, "it to miss Redis")
                    process.signal(signal.SIGTERM)
                    await stage.until(lambda: "a second signal" in process.output, "it to hear of it")
                    process.signal(signal.SIGTERM)
                    assert await asyncio.to_thread(process.wait) == 130
                return process.output

    output = asyncio.run(scenario())
    assert "executed" in output
    digits = key.removeprefix("0x").lower()
    for secret in (digits, digits[:16], digits[-16:], REDIS_PASSWORD, RPC_KEY, KEYSTORE_PASSWORD):
        assert secret.lower() not in output.lower(), f"{secret[:4]}… is shown"


def test_a_wrong_key_or_password_is_not_shown_either(network: LiveNetwork, tmp_path: Path) -> None:
    wrong = "0x" + "f" * 63 + "g"
    with worker_process(network, tmp_path, WORKER_PRIVATE_KEY=wrong) as process:
        assert process.wait() == 3
        assert "WORKER_PRIVATE_KEY" in process.output
        assert "f" * 16 not in process.output
