"""Who has monitors here: accounts that know nothing of each other, each with a directory."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from logwatch_monitis.config.keys import Keys
from logwatch_monitis.config.private_files import make_directory
from logwatch_monitis.errors import SetupError
from logwatch_monitis.interfaces import Clock
from logwatch_monitis.protocol.wire import AUTHENTICATION_FAILURE, INVALID_API_KEY
from logwatch_monitis.server.api.authentication import (
    DEFAULT_DEMANDS,
    Authenticator,
    Demands,
    Denied,
)
from logwatch_monitis.server.api.passwords import PasswordLogin
from logwatch_monitis.server.page.live import Live
from logwatch_monitis.server.store.retention import KEEP_ALL, Retention
from logwatch_monitis.server.store.store import Store

__all__ = ["Account", "Accounts", "account_directory", "account_names"]

FOLDER = "accounts"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Account(NamedTuple):
    """One account at work.

    Attributes:
        name: empty for the first one, which has the data directory itself.
        directory: holds its keys and data.
        keys: what opens it.
        store: its monitors.
        live: tells its open pages.
        auth: checks its requests.
    """

    name: str
    directory: Path
    keys: Keys
    store: Store
    live: Live
    auth: Authenticator


def account_directory(data_directory: Path, name: str) -> Path:
    """Return the directory of an account; the one without name has the data directory itself.

    Raises:
        SetupError: that is no name.
    """
    if not name:
        return data_directory
    if not _NAME.fullmatch(name):
        raise SetupError(
            f"'{name}' is no name for an account", "letters, digits and . _ - may be in it"
        )
    return data_directory / FOLDER / name


def account_names(data_directory: Path) -> list[str]:
    """Return the names of the accounts that there are beside the first."""
    folder = data_directory / FOLDER
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if _NAME.fullmatch(entry.name))


class Accounts(Sequence[Account]):
    """The accounts of one server, the first one at least."""

    def __init__(self, accounts: Sequence[Account], stack: ExitStack) -> None:
        self._accounts = accounts
        self._stack = stack

    @classmethod
    def open(
        cls,
        data_directory: Path,
        clock: Clock,
        *,
        names: Sequence[str] = (),
        api_key: str = "",
        secret_key: str = "",
        retention: Retention = KEEP_ALL,
        demands: Demands = DEFAULT_DEMANDS,
        patience: float = 0.0,
    ) -> Accounts:
        """Open the accounts that there are, and those with the *names*, which are made.

        The keys stand in for the kept ones of the first account.

        Raises:
            LockHeldError: another monitor works on *data_directory*.
            SetupError: a key file cannot be used, or a name is none.
            StateError: a directory or database cannot be used.
        """
        accounts: list[Account] = []
        with ExitStack() as stack:
            for name in ["", *sorted({*names, *account_names(data_directory)})]:
                directory = account_directory(data_directory, name)
                if name:
                    make_directory(directory.parent, like_parent=True)
                given = {} if name else {"api_key": api_key, "secret_key": secret_key}
                keys = Keys.load_or_make(directory, **given)
                PasswordLogin.load(directory)
                store = Store.open(directory, patience=patience, retention=retention, now=clock.now)
                stack.callback(store.close)
                auth = Authenticator(keys, clock, demands)
                accounts.append(Account(name, directory, keys, store, Live(), auth))
            return cls(accounts, stack.pop_all())

    def close(self) -> None:
        """Finish what is waiting to be written, then let go of the directories."""
        self._stack.close()

    def __len__(self) -> int:
        return len(self._accounts)

    def __getitem__(self, place: int) -> Account:  # type: ignore[override]
        return self._accounts[place]

    def named(self, params: Mapping[str, str], failure: str = INVALID_API_KEY) -> Account:
        """Return the account that a request names.

        Raises:
            Denied: none; the text is *failure*.
        """
        found = self._only(lambda account: account.auth.named(params))
        if found is None:
            raise Denied(failure)
        return found

    def with_password(self, params: Mapping[str, str]) -> Account | None:
        """Return the account of a user name and a password; takes 50 ms for each account."""
        user, password = params.get("userName", ""), params.get("password", "")

        def fits(account: Account) -> bool:
            login = PasswordLogin.load(account.directory)
            return login is not None and login.fits(user, password)

        return self._only(fits)

    def with_open_secret(self, params: Mapping[str, str]) -> Account:
        """Return the account that a request names and that has a login, as the old service had.

        Raises:
            Denied: there is none.
        """
        found = self.named(params, AUTHENTICATION_FAILURE)
        if PasswordLogin.load(found.directory) is None:
            raise Denied(AUTHENTICATION_FAILURE)
        return found

    def _only(self, fits: Callable[[Account], bool]) -> Account | None:
        """Look at all of them, so that the time does not tell which one it was."""
        found = [account for account in self._accounts if fits(account)]
        return found[0] if found else None
