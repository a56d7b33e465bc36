"""All sizes of docs/scaling.md in one run, as JSON: `python benchmarks/scan.py > scan.json`."""

from __future__ import annotations

import json
import sys

from autometa_cli.bench.scan import document, measure, synthetic


def main() -> None:
    scans = measure([1_000, 10_000, 100_000], lambda text: sys.stderr.write(text + "\n"))
    json.dump(document(scans, synthetic(1_000_000)), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
