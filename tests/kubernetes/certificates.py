"""Certificates of a control plane on localhost: its authority, its servers', its clients'."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAYS = 2
# Python from 3.13 on refuses an authority that does not say so.
_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """Signs certificates for as long as a test run.

    Args:
        folder: where certificates and keys are written, as `NAME.crt` and `NAME.key`.
        name: of the authority.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = new_key()
        built = (
            _certificate(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        )
        self.certificate = folder / f"{name}.crt"
        self.certificate.write_bytes(_pem(built.sign(self._key, hashes.SHA256())))

    def issue(self, name: str, user: str, group: str | None = None) -> tuple[Path, Path]:
        """Return certificate and key, for a server on localhost and for a client alike.

        Args:
            name: of the two files.
            user: that the API server takes its bearer for.
            group: of that user.
        """
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        if group is not None:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        key = new_key()
        hosts = [
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            # The first address of the range of Services, by which pods would reach the API server.
            x509.IPAddress(ipaddress.ip_address("10.96.0.1")),
            *(x509.DNSName(host) for host in ("localhost", "kubernetes.default.svc")),
        ]
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        built = (
            _certificate(x509.Name(attributes), self._name, key)
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .add_extension(signed_by, critical=False)
        )
        files = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        files[0].write_bytes(_pem(built.sign(self._key, hashes.SHA256())))
        write_key(key, files[1])
        return files


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a private key."""
    return ec.generate_private_key(ec.SECP256R1())


def write_key(key: ec.EllipticCurvePrivateKey, path: Path) -> None:
    """Write a private key, for its owner's eyes: in the one format from which Kubernetes also reads the public key."""
    path.touch(mode=0o600)
    unlocked = serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, unlocked)
    path.write_bytes(text)


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
