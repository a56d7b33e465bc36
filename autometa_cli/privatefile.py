"""Files that only their owner may read, replaced as a whole: a reader sees the old content or the new."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600, and put it in its place only when it is complete and on disk.

    Raises OSError.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600, exclusive
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk, say: which file it is about
            error.filename = str(path)
        raise


class StateFile:
    """One JSON object in one private file.

    Args:
        path: its folder must exist when it is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any] | None:
        """The object; None if there is no file, or none that holds a JSON object."""
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return data if isinstance(data, dict) else None

    def write(self, data: Mapping[str, Any]) -> None:
        """Replace the object. Raises OSError."""
        write_private(self.path, json.dumps(data, indent=2) + "\n")

    def remove(self) -> None:
        """Forget it. No error if there is none."""
        self.path.unlink(missing_ok=True)
