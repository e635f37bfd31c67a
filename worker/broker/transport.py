"""TLS with the broker: whose certificates are trusted, and what this client shows of itself."""

import ssl

from worker.errors import SettingsError
from worker.secrets import text_of
from worker.settings import KafkaSettings


def tls_context(settings: KafkaSettings) -> ssl.SSLContext:
    """Return what TLS is spoken with: host names are checked, and nothing older than TLS 1.2 is taken.

    Raises:
        SettingsError: a file cannot be used.
    """
    file = settings.ssl_cafile
    try:
        context = ssl.create_default_context(cafile=str(file) if file else None)
    except (OSError, ssl.SSLError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else "no certificates in PEM can be read"
        raise SettingsError(f"MODERATE_KAFKA__SSL_CAFILE: {reason} (got {str(file)!r})") from error
    _show_certificate(context, settings)
    return context


def _show_certificate(context: ssl.SSLContext, settings: KafkaSettings) -> None:
    certificate, key = settings.ssl_certfile, settings.ssl_keyfile
    if certificate is None:
        return
    for name, file in (("CERTFILE", certificate), ("KEYFILE", key)):
        if file is not None and not file.is_file():
            raise SettingsError(f"MODERATE_KAFKA__SSL_{name}: no such file (got {str(file)!r})")
    try:
        # Without any password OpenSSL would ask the terminal for one.
        context.load_cert_chain(certificate, key, text_of(settings.ssl_key_password) or "")
    except (OSError, ssl.SSLError) as error:
        said = str(error).upper()
        name, reason = "CERTFILE", "no certificate and key in PEM can be read"
        if isinstance(error, PermissionError):
            reason = "certificate or key may not be read by this user"
        elif "VALUES_MISMATCH" in said or "VALUES MISMATCH" in said:
            name, reason = "KEYFILE", "this key is not that of the certificate"
        elif b"ENCRYPTED" in (key or certificate).read_bytes():
            name, reason = "KEY_PASSWORD", "the private key cannot be decrypted with it"
            if settings.ssl_key_password is None:
                reason = "the private key is encrypted: set it, or MODERATE_KAFKA__SSL_KEY_PASSWORD_FILE"
        elif key is None:
            reason = "no certificate with its key can be read; MODERATE_KAFKA__SSL_KEYFILE names a key of its own"
        got = "" if name == "KEY_PASSWORD" else f" (got {str(key if name == 'KEYFILE' else certificate)!r})"
        raise SettingsError(f"MODERATE_KAFKA__SSL_{name}: {reason}{got}") from error
