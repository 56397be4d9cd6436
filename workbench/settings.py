"""Where the workbench lives and how it listens. The only reader of environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import InputError

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Settings:
    """Everything that is decided before the first request.

    Attributes:
        home: Folder that holds data sets, runs and models.
        host: Address the page binds to.
        port: TCP port of the page; 0 picks a free one.
        auth: `(user, password)`, or None for no password (loopback only).
        allowed_hosts: Further values accepted in the Host header.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 7860
    auth: tuple[str, str] | None = None
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a public address without a password."""
        if not 0 <= self.port <= 65535:
            raise InputError(f"`--port` must be between 0 and 65535, got {self.port}.", field="port")
        if self.host not in LOOPBACK_HOSTS and self.auth is None:
            raise InputError(
                f"`--host {self.host}` would open the workbench to the network without a password; "
                "add `--auth USER:PASSWORD` (or set WORKBENCH_AUTH).",
                field="host",
            )

    @classmethod
    def from_environment(
        cls,
        home: str | Path | None = None,
        host: str = "127.0.0.1",
        port: int = 7860,
        auth: str | None = None,
        allowed_hosts: tuple[str, ...] = (),
    ) -> Settings:
        """Build settings from options, then from WORKBENCH_HOME and WORKBENCH_AUTH, then from defaults.

        Args:
            home: Folder of the workbench; None reads WORKBENCH_HOME, else `~/.workbench`.
            host: Address to bind to.
            port: TCP port, 0 for a free one.
            auth: `USER:PASSWORD`; None reads WORKBENCH_AUTH.
            allowed_hosts: Further values accepted in the Host header.

        Raises:
            InputError: If the password has no `:`, the port is out of range, or a public host has no password.
        """
        text = auth if auth is not None else os.environ.get("WORKBENCH_AUTH") or None
        pair: tuple[str, str] | None = None
        if text is not None:
            user, separator, password = text.partition(":")
            if not (separator and user and password):
                raise InputError("`--auth` must be USER:PASSWORD with neither part empty.", field="auth")
            pair = (user, password)
        return cls(home=home_folder(home), host=host, port=port, auth=pair, allowed_hosts=allowed_hosts)


def home_folder(home: str | Path | None = None) -> Path:
    """Return the home folder: the one given, else WORKBENCH_HOME, else `~/.workbench`. It is not created here."""
    chosen = home if home is not None else os.environ.get("WORKBENCH_HOME") or Path.home() / ".workbench"
    return Path(chosen).expanduser().resolve()
