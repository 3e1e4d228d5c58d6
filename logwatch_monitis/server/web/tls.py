"""The server's certificate and its key, from files."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple, NoReturn

from logwatch_monitis.config.private_files import check_mode
from logwatch_monitis.errors import SetupError

__all__ = ["Tls"]


class Tls(NamedTuple):
    """Two files in PEM form.

    Attributes:
        certificate: the certificate, then those that lead to its authority.
        key: its private key, without a passphrase, readable for nobody else.
    """

    certificate: Path
    key: Path

    def check(self) -> None:
        """See whether a server can work with the files.

        Raises:
            SetupError: one of them cannot be read or used, or others can read the key.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            check_mode(str(self.key), self.key.stat())
            self.load(context)
        except ssl.SSLError as error:
            raise SetupError(
                f"{self.certificate} and {self.key} are no certificate and its key: {error.reason}",
                "both must be PEM, and belong together",
            ) from None
        except OSError as error:
            name = error.filename or f"{self.certificate} or {self.key}"
            raise SetupError(f"{name}: {error.strerror}") from None

    def load(self, context: ssl.SSLContext) -> None:
        """Let *context* use what stands in the files now."""
        context.load_cert_chain(self.certificate, self.key, self._no_passphrase)

    def _no_passphrase(self) -> NoReturn:
        raise SetupError(
            f"{self.key} is locked with a passphrase", "openssl pkey -in FILE unlocks it"
        )
