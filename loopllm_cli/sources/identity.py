"""Pseudonyms for users, and the fields that hold network addresses.

Must not import: engines; worker processes load this.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_CACHED_USERS = 65_536
_DIGEST_BYTES = 8
_PSEUDONYM = re.compile(r"u_[0-9a-f]{16}")
_USER_NAMES = frozenset(
    ("user", "user_id", "userid", "end_user", "enduser", "annotator_id", "request_user_id")
)
_MAX_DEPTH = 6


class UserHasher:
    """Turn a user's id into a pseudonym, the same one everywhere in a project.

    May be sent to other processes.

    Args:
        key: the project's key, at most 64 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, str] = {}

    def __call__(self, user_id: str) -> str:
        """Return `u_` and 16 hexadecimal digits; a pseudonym stays what it is."""
        if _PSEUDONYM.fullmatch(user_id):
            return user_id
        known = self._known.get(user_id)
        if known is None:
            content = user_id.encode("utf-8", "surrogatepass")
            digest = hashlib.blake2b(
                content, digest_size=_DIGEST_BYTES, key=self._key, person=b"user"
            )
            known = f"u_{digest.hexdigest()}"
            if len(self._known) >= _CACHED_USERS:
                self._known.clear()
            self._known[user_id] = known
        return known

    def __reduce__(self) -> tuple[type[UserHasher], tuple[bytes]]:
        return UserHasher, (self._key,)


def hash_users(value: Any, hash_user: Callable[[str], str], depth: int = 0) -> Any:
    """Return a record with its users' ids as pseudonyms, wherever a field is named for them."""
    if depth > _MAX_DEPTH:
        return value
    if isinstance(value, dict):
        return {
            name: hash_user(inner)
            if isinstance(inner, str) and name.lower() in _USER_NAMES and inner != name
            else hash_users(inner, hash_user, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [hash_users(inner, hash_user, depth + 1) for inner in value]
    return value


_IP_NAMES = frozenset(
    (
        *("ip", "ips", "ipaddress", "ipaddr", "clientip", "userip", "remoteip", "sourceip"),
        *("requesterip", "requesteripaddress", "clientipaddress", "useripaddress", "hashedip"),
        *("remoteaddr", "remoteaddress", "clientaddress", "clientaddr", "peeraddress"),
        *("xforwardedfor", "xrealip", "xclientip", "trueclientip", "cfconnectingip", "forwarded"),
        *("netpeerip", "netsockpeeraddr", "networkpeeraddress", "httpclientip", "sourceaddress"),
        *("callerip", "calleripaddress", "originip", "hostip"),
    )
)
_SEPARATORS = str.maketrans("", "", " _.-")


@lru_cache(maxsize=4096)
def is_ip_key(name: str) -> bool:
    """Tell whether a field of that name holds a network address.

    >>> is_ip_key("requester_ip_address"), is_ip_key("X-Forwarded-For"), is_ip_key("zip")
    (True, True, False)
    """
    return name.lower().translate(_SEPARATORS) in _IP_NAMES


@lru_cache(maxsize=4096)
def _names_ip(names: tuple[str, ...]) -> bool:
    return any(map(is_ip_key, names))


def drop_ips(record: dict[str, Any]) -> dict[str, Any]:
    """Leave out the fields that hold network addresses, of a record and one level down.

    The very same object comes back where there are none; the given one is never changed.
    """
    kept = _without(record)
    for name, value in record.items():
        if isinstance(value, dict) and name in kept:
            inner = _without(value)
            if inner is not value:
                kept = dict(kept) if kept is record else kept
                kept[name] = inner
    return kept


def _without(fields: dict[str, Any]) -> dict[str, Any]:
    if not _names_ip(tuple(fields)):
        return fields
    return {name: value for name, value in fields.items() if not is_ip_key(name)}
