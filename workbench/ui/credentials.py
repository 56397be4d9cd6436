"""Who may ask: the access token or the password, the cookie that stands for either, and how fast may be guessed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import logging
import os
import re
import secrets
import stat
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from workbench.errors import InputError
from workbench.settings import Settings

TOKEN_FILE = "access-token"
TOKEN_FIELD = "token"
FREE_GUESSES = 5
LONGEST_DELAY_SECONDS = 60.0
FORGOTTEN_AFTER_SECONDS = 900.0
ADDRESSES_REMEMBERED = 1000
YEAR_SECONDS = 365 * 24 * 3600

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_log = logging.getLogger(__name__)


def read_access_token(home: Path) -> str:
    """Return the access token of a home; it is drawn once, so that open pages and bookmarks outlive the server.

    One that others could read is replaced, as it is no secret any more.

    Args:
        home: Folder of the workbench, which exists.

    Raises:
        InputError: If it can be neither read nor written.
    """
    path = home / TOKEN_FILE
    try:
        found = _kept_token(path)
        if found is None:
            found = secrets.token_urlsafe(32)
            draft = home / f".{TOKEN_FILE}-{secrets.token_hex(8)}"
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(found + "\n")
            draft.replace(path)
        return found
    except OSError as error:
        raise InputError(
            f"The access token `{path}` cannot be kept ({error.strerror}); choose another home with `--home`, "
            "set a password (WORKBENCH_AUTH), or ask for no token with `--no-token`.",
            field="home",
        ) from None


def _kept_token(path: Path) -> str | None:
    try:
        # A link would let whoever made it choose the token, or have another file taken for one.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    except OSError:
        if path.is_symlink():
            return None
        raise
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as stream:
        status = os.fstat(stream.fileno())
        text = stream.read(200).strip()
    if os.name == "posix" and (stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid()):
        _log.warning("Other users could read the access token %s; a new one takes its place.", path)
        return None
    return text if _TOKEN.fullmatch(text) else None


class Guesses:
    """Wrong passwords and tokens by address: after a few, each further one must wait twice as long, up to a minute.

    The same wrong value said again is no further guess: an open page goes on saying an old password.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, _Guesser] = OrderedDict()

    def wait(self, address: str, guess: bytes) -> float:
        """Return how many seconds a guess of this address must wait before it is looked at; 0 for not at all."""
        guesser = self._seen.get(_network(address))
        if guesser is None or guesser.last == _digest(guess):
            return 0.0
        return max(0.0, guesser.until - self._clock())

    def failed(self, address: str, guess: bytes) -> None:
        """Count a wrong guess and log it, without what was guessed."""
        name, now, digest = _network(address), self._clock(), _digest(guess)
        guesser = self._seen.setdefault(name, _Guesser())
        self._seen.move_to_end(name)
        while len(self._seen) > ADDRESSES_REMEMBERED:
            self._seen.popitem(last=False)
        if guesser.last == digest:
            return
        if now - guesser.at > FORGOTTEN_AFTER_SECONDS:
            guesser.count = 0
        guesser.count += 1
        guesser.at, guesser.last = now, digest
        delay = 0.0 if guesser.count < FREE_GUESSES else min(LONGEST_DELAY_SECONDS, 2.0 ** min(16, guesser.count - FREE_GUESSES))
        guesser.until = now + delay
        # Repr, because an address may come from a proxy's header.
        slowed = f"; the next one waits {delay:.0f} s" if delay else ""
        _log.warning("A wrong password or access token came from %r (number %d)%s.", address[:100], guesser.count, slowed)


@dataclass
class _Guesser:
    count: int = 0
    at: float = -FORGOTTEN_AFTER_SECONDS
    until: float = 0.0
    last: bytes = b""


@dataclass(frozen=True)
class Admission:
    """What came of a request's credentials.

    Attributes:
        admitted: Whether it may go on.
        sets_cookie: Whether its answer brings the cookie.
        token_in_query: Whether the address holds a token, which no one behind the gate needs to see.
        wait: Seconds until the next guess is looked at; 0 where it was looked at.
        wrong: Whether something was said, and it was wrong.
    """

    admitted: bool
    sets_cookie: bool = False
    token_in_query: bool = False
    wait: float = 0.0
    wrong: bool = False


@dataclass
class Credentials:
    """What admits to one server.

    Args:
        settings: Names the password, and port and path that the cookie is for.
        token: The access token; None where none is needed or a password takes its place.
        guesses: What was guessed so far.

    Attributes:
        secret: Value of the cookie; None where everybody is admitted.
    """

    settings: Settings
    token: str | None = None
    guesses: Guesses = field(default_factory=Guesses)

    def __post_init__(self) -> None:
        """Draw the secret that stands for the password until the server ends."""
        if self.settings.auth is not None:
            self.token = None
        self.secret = secrets.token_urlsafe(32) if self.settings.auth is not None else self.token
        self._password = None if self.settings.auth is None else ":".join(self.settings.auth).encode("utf-8", "surrogateescape")
        # Cookies know no ports: without it, two workbenches of one machine would overwrite each other's.
        self._cookie = f"workbench-{self.settings.port}"

    def admit(self, scope: Scope, headers: Headers) -> Admission:
        """Look at the cookie, then at what else the request says."""
        if self.secret is None:
            return Admission(True)
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        in_query = self.token is not None and TOKEN_FIELD in query
        for header in headers.getlist("cookie"):
            if _same(cookie_parser(header).get(self._cookie, "").encode("latin-1", "replace"), self.secret.encode()):
                return Admission(True, sets_cookie=False, token_in_query=in_query)
        scheme, _, value = headers.get("authorization", "").partition(" ")
        given: bytes | None = None
        if self._password is not None:
            given = _decoded(value) if scheme.lower() == "basic" else None
        elif scheme.lower() == "bearer":
            given = value.strip().encode("latin-1", "replace")
        elif in_query:
            given = _token_of(query[TOKEN_FIELD][-1]).encode("utf-8", "surrogateescape")
        if not given:
            return Admission(False, token_in_query=in_query)
        client = scope.get("client")
        address = client[0] if client else ""
        right = self._password if self._password is not None else self.secret.encode()
        # A token is too long to be guessed, so whoever knows it never waits for those who guess from the same address.
        wait = self.guesses.wait(address, given)
        if (self._password is None or wait <= 0) and _same(given, right):
            return Admission(True, sets_cookie=self._password is not None or in_query, token_in_query=in_query)
        if wait <= 0:
            self.guesses.failed(address, given)
        return Admission(False, token_in_query=in_query, wait=wait, wrong=True)

    def cookie(self, scope: Scope) -> str:
        """Return the header that makes a browser remember that it was admitted."""
        parts = [f"{self._cookie}={self.secret}", f"Path={self.settings.root_path or '/'}", "HttpOnly", "SameSite=Lax"]
        if self.token is not None:
            parts.append(f"Max-Age={YEAR_SECONDS}")
        if scope.get("scheme") == "https":
            parts.append("Secure")
        return "; ".join(parts)


def _token_of(text: str) -> str:
    """Return the token in what was pasted: the token itself, or the whole address that was printed."""
    text = text.strip()
    if f"{TOKEN_FIELD}=" in text:
        return parse_qs(urlsplit(text).query).get(TOKEN_FIELD, [text])[-1]
    return text


def _decoded(value: str) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def _same(given: bytes, right: bytes) -> bool:
    # Digests are of one length, so neither length nor content shows in the time it takes.
    return hmac.compare_digest(_digest(given), _digest(right))


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()


def _network(address: str) -> str:
    """Return what guesses are counted by: the address, or the network that one IPv6 user has for himself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
