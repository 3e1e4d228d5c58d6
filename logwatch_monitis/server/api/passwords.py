"""The login of an account, for clients that fetch their keys with a name and a password.

Clients send the MD5 or the SHA-256 of the password in hex, so either of the two is as good as the
password itself. Kept are scrypt hashes of both, beside the keys and apart from the data.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from hashlib import md5, scrypt, sha256
from pathlib import Path
from typing import Any

from logwatch_monitis.config.private_files import make_directory, read_file, write_file
from logwatch_monitis.errors import SetupError, StateError

__all__ = ["LOGIN_FILE", "PasswordLogin", "save_login"]

LOGIN_FILE = "login.json"

_FORMS = {32: "md5", 64: "sha256"}
_COST = {"n": 2**14, "r": 8, "p": 1, "maxmem": 64 * 1024 * 1024}
_BYTES = 16


class PasswordLogin:
    """A name and the hashes of its password, as `save_login` wrote them."""

    def __init__(self, user: str, hashes: Mapping[str, tuple[bytes, bytes]]) -> None:
        self._user = user
        self._hashes = hashes

    @classmethod
    def load(cls, directory: Path) -> PasswordLogin | None:
        """Return the login of the account in *directory*, None if it has none.

        Raises:
            SetupError: the file is no such file, is open to others, or cannot be read.
        """
        path = directory / LOGIN_FILE
        try:
            text = read_file(path, "the login file").decode("utf-8", "replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SetupError(f"{path}: {error.strerror}") from None
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            found: Any = json.loads(text)
            hashes = {form: _pair(found[form]) for form in _FORMS.values()}
            return cls(str(found["user"]), hashes)
        raise SetupError(f"{path}: no login in it", "logwatch-monitis monitor password makes it")

    def fits(self, user: str, password: str) -> bool:
        """Say whether *user* and a hashed *password* in hex fit; takes 50 ms and 16 MiB."""
        form = _FORMS.get(len(password), "sha256")
        salt, wanted = self._hashes[form]
        same_user = hmac.compare_digest(user.encode("utf-8", "replace"), self._user.encode())
        given = _hash(password.lower(), salt)
        return hmac.compare_digest(given, wanted) and same_user


def save_login(directory: Path, user: str, password: str) -> Path:
    """Let *user* fetch the keys of the account in *directory*; return the file, mode 0600.

    Raises:
        StateError: it cannot be written.
    """
    path = directory / LOGIN_FILE
    text = password.encode()
    forms = {"md5": md5(text, usedforsecurity=False), "sha256": sha256(text)}
    content: dict[str, Any] = {"user": user}
    for form, digest in forms.items():
        salt = secrets.token_bytes(_BYTES)
        content[form] = [salt.hex(), _hash(digest.hexdigest(), salt).hex()]
    try:
        make_directory(directory, like_parent=True)
        write_file(path, f"{json.dumps(content)}\n".encode())
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}", "the login is kept there") from None
    return path


def _pair(texts: list[str]) -> tuple[bytes, bytes]:
    salt, wanted = map(bytes.fromhex, texts)
    return salt, wanted


def _hash(password: str, salt: bytes) -> bytes:
    return scrypt(password.encode("utf-8", "replace"), salt=salt, **_COST)
