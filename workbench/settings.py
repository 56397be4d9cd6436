"""Where the workbench lives and how it listens. The only reader of environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import InputError

PRIVATE_UMASK = 0o077
REMEDY = "change its owner or permissions, or choose another with `--home` (or WORKBENCH_HOME)"
_HOME_NAMES = frozenset(
    {
        "workbench",
        "runs",
        "datasets",
        "models",
        "examples",
        "tokens",
        "uploads",
        "cache",
        "supervisor",
        "errors",
        "encoder",
        "draft",
    }
)
"""What the workbench makes in its home, up to the first dot."""
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
    """Return the home folder: the one given, else WORKBENCH_HOME, else `~/.workbench`. It is not created here.

    Raises:
        InputError: If none is given and the user has no home folder.
    """
    chosen = home if home is not None else os.environ.get("WORKBENCH_HOME") or None
    try:
        return Path("~/.workbench" if chosen is None else chosen).expanduser().resolve()
    except RuntimeError:  # a user id without an account, as in a container
        raise InputError(
            "This user has no home folder, so there is no place for data sets and runs; name one with `--home DIR` or WORKBENCH_HOME.",
            field="home",
        ) from None


def keep_private() -> None:
    """Let nobody else read what this process writes from now on."""
    os.umask(PRIVATE_UMASK)


def prepare_home(home: Path) -> Path:
    """Make the home folder, or make sure that it can be used, and close it to other users of the machine.

    A folder that holds other things than the workbench's is used but keeps its permissions: it may be shared on purpose.

    Raises:
        InputError: If it cannot be made, entered or written to.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_open_to_others(home) and is_ours(home):
            home.chmod(0o700)
    except OSError as error:
        raise InputError(f"The home `{home}` cannot be used ({error.strerror or error}); {REMEDY}.", field="home") from None
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        raise InputError(f"The home `{home}` cannot be written to{_owner(home)}; {REMEDY}.", field="home")
    return home


def check_readable(home: Path) -> bool:
    """Return whether the home is there.

    Raises:
        InputError: If this user may not look into it.
    """
    try:
        if not home.exists():
            return False
        allowed = os.access(home, os.R_OK | os.X_OK)
    except PermissionError:
        allowed = False
    if not allowed:
        raise InputError(f"The home `{home}` may not be looked into{_owner(home)}; {REMEDY}.", field="home")
    return True


def is_open_to_others(home: Path) -> bool:
    """Return whether other users of the machine may look into the home."""
    return os.name == "posix" and home.stat().st_mode & 0o077 != 0


def is_ours(home: Path) -> bool:
    """Return whether a folder belongs to this user and holds nothing but what the workbench puts there."""
    if os.name != "posix" or home.stat().st_uid != os.geteuid():
        return False
    return all(entry.name.partition(".")[0] in _HOME_NAMES for entry in home.iterdir())


def _owner(home: Path) -> str:
    try:
        owner = home.stat().st_uid
    except OSError:
        return ""
    if os.name != "posix" or owner == os.geteuid():
        return ""
    return f" (it belongs to user {owner}, and this is user {os.geteuid()})"
