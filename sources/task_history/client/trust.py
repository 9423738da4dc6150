"""Which CAs an encrypted connection trusts, as the environment names them (see ``VARIABLES``)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import BuilderError

from ..core import files
from ..core.errors import ConfigurationError

CA_FILE_VARIABLE, _FOLDER, _BUNDLE = "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"
VARIABLES = (CA_FILE_VARIABLE, _FOLDER, _BUNDLE)
"""All of these; child processes are given them by ``core/child_python``."""
_MAX_BYTES = 16_000_000
_BEGIN = b"-----BEGIN "


def build_client(builder: Callable[[], SyncClientBuilder], *, is_encrypted: bool) -> SyncClient:
    """A client that trusts the CAs in SSL_CERT_FILE and SSL_CERT_DIR; without those two the system's, and the ones
    in REQUESTS_CA_BUNDLE besides. Where the system has none, certifi's.

    Raises:
        ConfigurationError: what the environment names cannot be read, or holds no certificate.
    """
    named = (
        {name: os.environ[name] for name in (CA_FILE_VARIABLE, _FOLDER) if os.environ.get(name)}
        if is_encrypted
        else {}
    )
    if _FOLDER in named and not Path(named[_FOLDER]).is_dir():
        raise ConfigurationError(
            f"There is no folder {named[_FOLDER]!r} of certificates: correct {_FOLDER} in the environment, or unset it."
        )
    if CA_FILE_VARIABLE in named:
        _read(Path(named[CA_FILE_VARIABLE]), CA_FILE_VARIABLE)
    bundle = os.environ.get(_BUNDLE) if is_encrypted and not named else None
    extra = _bundle(Path(bundle)) if bundle else []
    try:
        return _with(builder(), extra).build()
    except BuilderError:
        # reqwest gives no other reason for this error: no CA at all was found.
        if named:
            raise ConfigurationError(
                f"There is no certificate in {' and '.join(map(repr, named.values()))}: correct "
                f"{' and '.join(named)} in the environment, or unset it."
            ) from None
    import certifi

    return _with(builder(), [Path(certifi.where()).read_bytes()]).build()


def _with(builder: SyncClientBuilder, extra: list[bytes]) -> SyncClientBuilder:
    for pem in extra:
        builder = builder.add_root_certificate_pem(pem)
    return builder


def _bundle(path: Path) -> list[bytes]:
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    return [_read(file, _BUNDLE) for file in paths if file.is_file() or file == path]


def _read(path: Path, variable: str) -> bytes:
    reason = "it holds no certificate"
    try:
        pem = files.read_bytes(path, max_bytes=_MAX_BYTES)
    except OSError as error:
        pem, reason = b"", error.strerror or type(error).__name__
    if _BEGIN in pem:
        return pem
    raise ConfigurationError(
        f"The certificates in {str(path)!r} cannot be read ({reason}): name a file in PEM form in the environment "
        f"variable {variable}, or unset it."
    )
