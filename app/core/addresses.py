"""Addresses of streams and the passwords in them, which are neither shown, logged nor stored.

A password is what stands in front of the last ``@``, also where its writer forgot to encode it,
and what a path or query calls one (``?password=…``, ``user=admin_password=…``).
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

ENCODE_HINT = "In a password, # is written %23, / is %2F and @ is %40."
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LONGEST = 120
_HIDDEN = "…"
# Names of secrets in paths and queries, as cameras and services write them.
_SECRETS = re.compile(
    r"((?:^|[?&;_/.-])(?:pass(?:word|wd|phrase)?|pwd|pw|auth|token|access_token|key|api_?key|"
    r"secret|signature|sig|streamid)[=:])([^&;_/\s]+)",
    re.I,
)


def scheme_of(text: str) -> str:
    """Scheme of an address, in small letters; empty where the text is none."""
    found = _SCHEME.match(text)
    return found[1].lower() if found else ""


def parts_of(text: str) -> tuple[str, str, str]:
    """Front (``"rtsp://"``), who (``"user:password"``) and the rest of an address.

    A password with ``/``, ``#``, ``?`` or ``@`` in it belongs to who, also where it should have
    been encoded: an address whose host would have a port that is no number is read on.
    """
    found = _SCHEME.match(text)
    if found is None:
        return "", "", text
    front, rest = found[0], text[found.end() :]
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in host:
        # Several marks in it, or one behind a slash that follows a password: the last one counts.
        who, _, behind = host.rpartition("@")
        return front, who, behind + rest[len(host) :]
    _, colon, port = host.rpartition(":")
    unencoded = "@" in rest and colon and not port.isdigit() and not host.endswith("]")
    if unencoded:
        who, _, behind = rest.rpartition("@")
        return front, who, behind
    return front, "", rest


def shown_address(text: str) -> str:
    """An address without what is secret in it, not too long, for screens, logs and errors."""
    front, _, rest = parts_of(text)
    plain = _SECRETS.sub(rf"\1{_HIDDEN}", rest).partition("?")[0] if front else rest
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in plain)
    whole = front + plain
    return whole if len(whole) <= _LONGEST else f"{whole[: _LONGEST - 1]}…"


def has_secret(text: str) -> bool:
    """Whether an address has a password, key or token in it."""
    front, who, rest = parts_of(text)
    return bool(front) and (":" in who or _SECRETS.search(rest) is not None)


def without_secret(text: str) -> tuple[str, str]:
    """An address as it may be stored, and what was taken out of it; empty where nothing was.

    Only the password in front of ``@`` can be put back by ``with_secret``; an address with a
    secret in its path or query is taken apart as well, and what is taken out is all of it.
    """
    front, who, rest = parts_of(text)
    if not front or not has_secret(text):
        return text, ""
    user, _, password = who.partition(":")
    if _SECRETS.search(rest):
        emptied = _SECRETS.sub(r"\1", rest)
        return f"{front}{user}{'@' * bool(user)}{emptied}", text
    return f"{front}{user}@{rest}", unquote(password)


def with_secret(text: str, secret: str) -> str:
    """An address with its secret put back, see ``without_secret``."""
    if scheme_of(secret):
        return secret
    front, user, rest = parts_of(text)
    if not front or not secret:
        return text
    return f"{front}{user}:{quote(secret, safe='')}@{rest}"
