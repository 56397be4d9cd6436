"""Where the workbench lives and how it listens. The only reader of environment variables."""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
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
        "access-token",
        "servers",
    }
)
"""What the workbench makes in its home, up to the first dot."""
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?|https?://\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
_ROOT_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_PROXY_VARIABLES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY")


@dataclass(frozen=True)
class Settings:
    """Everything that is decided before the first request.

    Attributes:
        home: Folder that holds data sets, runs and models.
        host: Address the page binds to.
        port: TCP port of the page; 0 picks a free one.
        auth: `(user, password)`, or None for no password (loopback only).
        allowed_hosts: Further values accepted in the Host header.
        needs_token: Whether the page asks for its access token; a password takes its place.
        frame_origins: Origins whose pages may show this one in a frame.
        trusted_proxies: Addresses or networks whose `X-Forwarded-*` headers are believed.
        root_path: Path under which a reverse proxy offers the page, e.g. `/workbench`; empty for none.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 7860
    auth: tuple[str, str] | None = None
    allowed_hosts: tuple[str, ...] = ()
    needs_token: bool = True
    frame_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    root_path: str = ""

    def __post_init__(self) -> None:
        """Refuse a public address without a password, and options that cannot mean anything."""
        if not 0 <= self.port <= 65535:
            raise InputError(f"`--port` must be between 0 and 65535, got {self.port}.", field="port")
        if self.host not in LOOPBACK_HOSTS and self.auth is None:
            raise InputError(
                f"`--host {self.host}` would open the workbench to the network without a password; "
                "set WORKBENCH_AUTH to USER:PASSWORD, or add `--auth-file FILE` (or `--auth USER:PASSWORD`).",
                field="host",
            )
        for origin in self.frame_origins:
            if not _ORIGIN.fullmatch(origin):
                raise InputError(
                    f"`--allow-frame` must be an origin such as https://lab.example or http://127.0.0.1:8000, got {origin!r}.",
                    field="allow_frame",
                )
        for address in self.trusted_proxies:
            try:
                ipaddress.ip_network(address)
            except ValueError:
                raise InputError(
                    f"`--trusted-proxy` must be an address such as 127.0.0.1 or a network such as 10.0.0.0/8, got {address!r}.",
                    field="trusted_proxy",
                ) from None
        if self.root_path and not _ROOT_PATH.fullmatch(self.root_path):
            raise InputError(
                f"`--root-path` must be a path such as /workbench, without a slash at its end, got {self.root_path!r}.",
                field="root_path",
            )

    @classmethod
    def from_environment(
        cls,
        home: str | Path | None = None,
        host: str = "127.0.0.1",
        port: int = 7860,
        auth: str | None = None,
        allowed_hosts: tuple[str, ...] = (),
        *,
        auth_file: str | Path | None = None,
        needs_token: bool = True,
        frame_origins: tuple[str, ...] = (),
        trusted_proxies: tuple[str, ...] = (),
        root_path: str = "",
    ) -> Settings:
        """Build settings from options, then from WORKBENCH_HOME and WORKBENCH_AUTH, then from defaults.

        Args:
            home: Folder of the workbench; None reads WORKBENCH_HOME, else `~/.workbench`.
            host: Address to bind to.
            port: TCP port, 0 for a free one.
            auth: `USER:PASSWORD`; None reads `auth_file`, then WORKBENCH_AUTH.
            allowed_hosts: Further values accepted in the Host header.
            auth_file: File that holds `USER:PASSWORD` and that no one else can read.
            needs_token: Whether the page asks for its access token where there is no password.
            frame_origins: Origins whose pages may show this one in a frame.
            trusted_proxies: Addresses or networks whose `X-Forwarded-*` headers are believed.
            root_path: Path under which a reverse proxy offers the page.

        Raises:
            InputError: If the password has no `:`, its file cannot be read or can be read by others, an option cannot mean
                anything, or a public host has no password.
        """
        if auth is not None and auth_file is not None:
            raise InputError("`--auth` and `--auth-file` both name the password; give one of them.", field="auth")
        source, text = "--auth", auth
        if auth_file is not None:
            source, text = "--auth-file", _read_secret(Path(auth_file))
        elif auth is None:
            source, text = "WORKBENCH_AUTH", os.environ.get("WORKBENCH_AUTH") or None
        pair: tuple[str, str] | None = None
        if text is not None:
            user, separator, password = text.partition(":")
            if not (separator and user and password):
                raise InputError(f"`{source}` must be USER:PASSWORD with neither part empty.", field="auth")
            pair = (user, password)
        return cls(
            home=home_folder(home),
            host=host,
            port=port,
            auth=pair,
            allowed_hosts=allowed_hosts,
            needs_token=needs_token,
            frame_origins=frame_origins,
            trusted_proxies=trusted_proxies,
            root_path=root_path.rstrip("/"),
        )


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
    """Let no one else read what this process writes from now on."""
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


@contextmanager
def hidden_socks_proxies() -> Iterator[None]:
    """Hide SOCKS proxies from packages that make their HTTP client when imported, where nothing installed can use such a proxy."""
    hidden = {}
    if find_spec("socksio") is None:
        for name in [variable for known in _PROXY_VARIABLES for variable in (known, known.lower())]:
            if os.environ.get(name, "").lower().startswith("socks"):
                hidden[name] = os.environ.pop(name)
    try:
        yield
    finally:
        os.environ.update(hidden)


def _read_secret(path: Path) -> str:
    """Return the first line of a file that only its owner can read.

    Raises:
        InputError: If it cannot be read, or others can read it too.
    """
    try:
        with path.expanduser().open(encoding="utf-8") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise InputError(
                    f"`--auth-file {path}` can be read by other users of this machine (mode {mode:03o}); "
                    f"run `chmod 600 {path}` and choose a new password.",
                    field="auth_file",
                )
            return stream.readline().rstrip("\r\n")
    except OSError as error:
        raise InputError(f"`--auth-file {path}` cannot be read ({error.strerror}).", field="auth_file") from None
    except UnicodeDecodeError:
        raise InputError(f"`--auth-file {path}` is not a text file in UTF-8.", field="auth_file") from None
