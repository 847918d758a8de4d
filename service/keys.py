"""API keys. A setting holds `name:sha256` for each; the key itself is shown once, when it is made, and kept nowhere.

A key is 256 random bits, so a plain SHA-256 is enough: there is nothing to guess (NIST SP 800-63B, 5.1.2.2, asks for a
slow hash only where a secret has less than 112 bits).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Sequence

PREFIX = "polyseme_"  # so that scanners of secrets know one when they see it
FORM = r"^[A-Za-z0-9._-]{1,64}:[0-9a-f]{64}$"


def make(name: str) -> tuple[str, str]:
    """(the key, what the setting holds of it)."""
    key = PREFIX + secrets.token_urlsafe(32)
    return key, f"{name}:{hashed(key)}"


def hashed(key: str) -> str:
    """SHA-256 as hex."""
    return hashlib.sha256(key.encode("utf-8", errors="surrogateescape")).hexdigest()


def owner(key: str, known: Sequence[str]) -> str | None:
    """The name of the key among `name:sha256`; None where it is none of them. Takes as long whichever it is."""
    given = hashed(key)
    found = None
    for entry in known:
        name, _, digest = entry.partition(":")
        if hmac.compare_digest(given, digest):
            found = name
    return found


def is_loopback(host: str) -> bool:
    """Only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
