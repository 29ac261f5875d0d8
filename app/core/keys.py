"""Where passwords of addresses are kept: the system's keyring, or nowhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from twinlens.app.core.addresses import has_secret, scheme_of, with_secret, without_secret

_SERVICE = "twinlens"
_log = logging.getLogger(__name__)


class Keyring(Protocol):
    """The part of the package ``keyring`` that is used; tests bring their own."""

    def get_password(self, service_name: str, username: str) -> str | None:
        """What is kept; None where nothing is."""
        ...

    def set_password(self, service_name: str, username: str, password: str) -> None:
        """Keep it."""
        ...


def system_keyring() -> Keyring | None:
    """The system's keyring through the package ``keyring`` (an extra); None where there is none."""
    try:
        import keyring  # late: an extra, and slow to ask the system
        from keyring.backends.fail import Keyring as NoKeyring
    except ImportError:
        return None
    return None if isinstance(keyring.get_keyring(), NoKeyring) else keyring


def put_away(text: str, find: Callable[[], Keyring | None] = system_keyring) -> str:
    """An address as it may be stored; its secret goes into the keyring, where there is one."""
    public, secret = without_secret(text)
    keyring = find() if secret else None
    if keyring is not None:
        try:
            keyring.set_password(_SERVICE, public, secret)
        except Exception as why:  # noqa: BLE001
            # A keyring is locked, or its service gone: the person is asked the next time.
            _log.info("a password could not be kept: %s", type(why).__name__)
    return public


def taken_out(text: str, find: Callable[[], Keyring | None] = system_keyring) -> str:
    """An address with the secret that the keyring has for it; itself where it has none."""
    if not scheme_of(text) or has_secret(text):
        return text
    keyring = find()
    if keyring is None:
        return text
    try:
        secret = keyring.get_password(_SERVICE, text)
    except Exception as why:  # noqa: BLE001
        _log.info("a password could not be read: %s", type(why).__name__)
        return text
    return with_secret(text, secret) if secret else text
