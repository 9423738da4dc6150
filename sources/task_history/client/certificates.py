"""Whose certificates are believed."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import certifi

from ..core.errors import ConfigurationError


def trusted() -> ssl.SSLContext:
    """Believes those that SSL_CERT_FILE and SSL_CERT_DIR in the environment name, else the usual ones.

    Raises:
        ConfigurationError: they cannot be read.
    """
    file, folder = (os.environ.get(name) or None for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    if folder and not Path(folder).is_dir():
        raise ConfigurationError(
            f"There is no folder {folder!r} of certificates: correct SSL_CERT_DIR in the environment, or unset it."
        )
    try:
        context = ssl.create_default_context(
            cafile=file if file or folder else certifi.where(), capath=folder
        )
    except OSError as error:
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(
            f"The certificates in {file!r} cannot be read ({reason}): name a file in PEM form in the environment "
            "variable SSL_CERT_FILE, or unset it."
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context
