"""Looks into a built wheel and source distribution: is everything in there, and nothing else?

Usage: check_package.py DIST
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def wanted_in_wheel() -> set[str]:
    """Every file of the package, and the contracts' artifacts inside it."""
    package = ROOT / "autometa_cli"
    files = {str(path.relative_to(ROOT)) for path in package.rglob("*") if path.is_file()}
    files |= {f"autometa_cli/abi/{path.relative_to(ROOT / 'abi')}" for path in (ROOT / "abi").rglob("*.json")}
    return {name for name in files if "__pycache__" not in name}


def main(directory: Path) -> int:
    """Returns how many complaints there are."""
    (wheel,), (source,) = directory.glob("*.whl"), directory.glob("*.tar.gz")
    in_wheel = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    with tarfile.open(source) as archive:
        in_source = {name.partition("/")[2] for name in archive.getnames()}
    complaints = [f"the wheel lacks {name}" for name in sorted(wanted_in_wheel() - in_wheel)]
    complaints += [f"the wheel should not have {name}" for name in sorted(in_wheel - wanted_in_wheel())]
    for name in ("autometa_cli/py.typed", "autometa_cli/abi/ActionExecutor.json"):
        if name not in in_wheel:
            complaints.append(f"the wheel lacks {name}")
    if not any(name.endswith(".lua") for name in in_wheel):
        complaints.append("the wheel has no Lua scripts")
    for name in ("README.md", "LICENSE", ".env.example", "tests/conftest.py", "abi/FeeEscrow.json"):
        if name not in in_source:
            complaints.append(f"the source distribution lacks {name}")
    unwanted = ("node_modules/", "__pycache__/", ".env.devnet", ".autometa/")
    for name in sorted(in_source):
        if any(part in name for part in unwanted) or name.endswith("/.env"):
            complaints.append(f"the source distribution should not have {name}")
    for complaint in complaints:
        print(complaint, file=sys.stderr)  # noqa: T201
    return len(complaints)


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1])) else 0)
