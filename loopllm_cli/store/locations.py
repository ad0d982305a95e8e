"""Where a store may be: a folder, or the URL of a place in an object store.

Must not import the engine: what may be given is checked before anything is loaded.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from loopllm_cli.errors import StoreUnavailable, UsageError

Location = Path | str
"""A folder, or the URL of one in an object store."""

SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_CONTAINER_BEFORE_ACCOUNT = ("abfs", "abfss")
# What no engine writes otherwise in an object's name.
_PLAIN = re.compile(r"[A-Za-z0-9._~=+@/-]*")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_ADDRESS = re.compile(r"https?://\S+")
# What the engine's messages say of a cause, and what can be done about it.
_CAUSES = (
    (
        r"NoSuchBucket|specified bucket does not exist|ContainerNotFound",
        "there is no such bucket",
        "make the bucket, or correct the URL",
    ),
    (
        r"169\.254\.|metadata\.google|credential|NoCredentials|MissingAuthentication",
        "no credentials were found",
        "set the store's variables, for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
        "(docs/object-stores.md)",
    ),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|401 Unauthorized",
        "the credentials are not accepted",
        "check the keys, their region and whether they have expired",
    ),
    (
        r"AccessDenied|403 Forbidden|AuthorizationFailure|PermissionDenied",
        "access is denied",
        "the account needs to list, read, write and delete under this URL",
    ),
    (
        r"tcp connect|dns error|error sending request|timed out|Connection re",
        "the store cannot be reached",
        "check the network, AWS_ENDPOINT_URL, and AWS_ALLOW_HTTP for an address without TLS",
    ),
    (
        r"301 Moved|PermanentRedirect|AuthorizationHeaderMalformed",
        "the bucket is in another region",
        "set AWS_REGION to the bucket's region",
    ),
)


def read_location(text: str) -> Location:
    """Read a folder's path or a store's URL.

    Returns:
        A path, or a URL without a slash at its end.

    Raises:
        UsageError: the URL names no place that is supported, or says more than a place.
    """
    found = _URL.match(text)
    if not found:
        return Path(text)
    scheme = found[1].lower()
    parts = urlsplit(text)
    if scheme == "file":
        return Path(unquote(parts.path))
    if scheme not in SCHEMES:
        raise UsageError(
            f"{scheme}:// is no place for a store",
            f"give a folder, or a URL that begins with {', '.join(f'{s}://' for s in SCHEMES)}",
        )
    who = parts.netloc.rpartition("@")[0]
    if ":" in who or (who and scheme not in _CONTAINER_BEFORE_ACCOUNT):
        # Not shown, because it holds a secret.
        raise UsageError(
            "the store's URL holds credentials", "give them in variables (docs/object-stores.md)"
        )
    place = text[found.end() :]
    if not parts.netloc or not _PLAIN.fullmatch(place) or "//" in place or ".." in place:
        raise UsageError(
            f"the {scheme}:// URL of the store is not a bucket and a prefix",
            f"write it as {scheme}://BUCKET/PREFIX with letters, digits and . _ ~ = + - /",
        )
    return f"{scheme}://{place.rstrip('/')}"


def explain(error: Exception) -> tuple[str, str | None]:
    """Say in a few words what an engine's message means, and the remedy where one is known.

    Addresses are left out, because they may hold signatures.
    """
    said = _COLOURS.sub("", str(error)).strip()
    for pattern, cause, remedy in _CAUSES:
        if re.search(pattern, said):
            return cause, remedy
    lines = _ADDRESS.sub("…", said).splitlines()
    return (lines[0].strip()[:300] if lines else type(error).__name__), None


def unreachable(place: str, error: Exception) -> StoreUnavailable:
    """Make the error that an object store's refusal becomes."""
    cause, remedy = explain(error)
    return StoreUnavailable(
        f"cannot use the store at {place} ({cause})",
        remedy or "check the URL and the store's variables (docs/object-stores.md)",
    )
