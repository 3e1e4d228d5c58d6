"""The keys of a monitor: made once, kept beside its data, readable for their owner only."""

from __future__ import annotations

import json
import os
import secrets
from base64 import b32hexencode
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from logwatch_monitis.config.private_files import make_directory, read_file, write_file
from logwatch_monitis.errors import SetupError, StateError

__all__ = ["KEYS_FILE", "Keys", "make_key"]

KEYS_FILE = "keys.json"


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens a monitor.

    Attributes:
        api_key: names the account in each request of the protocol; public.
        secret_key: signs requests, and makes tokens.
        page_key: opens the page.
    """

    api_key: str
    secret_key: str = field(repr=False)
    page_key: str = field(repr=False)

    @classmethod
    def load_or_make(cls, directory: Path, *, api_key: str = "", secret_key: str = "") -> Keys:
        """Return the keys of the data *directory*; made on first use, with the directory.

        Two processes that come at the same moment get the same keys. An *api_key* or *secret_key*
        given here counts in place of the kept one and is not written down.

        Raises:
            SetupError: the file is there and holds no keys, or others could have written them.
            StateError: directory or file cannot be made or read.
        """
        path = directory / KEYS_FILE
        try:
            make_directory(directory, like_parent=True)
            if not os.path.lexists(path):
                _write_once(path)
            text = read_file(path, "the key file").decode("utf-8", "replace")
        except OSError as error:
            raise StateError(
                f"{path}: {error.strerror}", "the monitor keeps its keys there"
            ) from None
        keys = cls._parse(path, text)
        return replace(
            keys, api_key=api_key or keys.api_key, secret_key=secret_key or keys.secret_key
        )

    @classmethod
    def _parse(cls, path: Path, text: str) -> Keys:
        names = ("api_key", "secret_key", "page_key")
        with suppress(ValueError, KeyError, TypeError):
            found: Any = json.loads(text)
            values = [found[name] for name in names]
            if all(isinstance(value, str) and value for value in values):
                return cls(*values)
        raise SetupError(
            f"{path}: no keys in it",
            f"it must be a JSON object with {', '.join(names)}; removed, it is made anew",
        )


def make_key() -> str:
    """Return a new key in the look of the protocol's: 26 characters of 0-9 and A-V, 128 bits."""
    return b32hexencode(secrets.token_bytes(16)).decode("ascii").rstrip("=")


def _write_once(path: Path) -> None:
    """Write new keys to *path* unless somebody else did; never half of them."""
    keys = {name: make_key() for name in ("api_key", "secret_key", "page_key")}
    with suppress(FileExistsError):
        write_file(path, f"{json.dumps(keys, indent=1)}\n".encode(), new=True)
