"""Certificates for tests, from an authority that only they trust."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass
class Authority:
    """Issues certificates into a directory."""

    directory: Path
    name: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        self._write(self.name, self._builder(self.name, self.key).add_extension(constraints, critical=True))

    @property
    def certificate(self) -> Path:
        """The file to trust."""
        return self.directory / f"{self.name}.pem"

    def issue(self, host: str) -> tuple[Path, Path]:
        """The files of a certificate for ``host`` and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        certificate = self._write(f"{self.name}-{host}", self._builder(host, key).add_extension(names, critical=False))
        secret = certificate.with_suffix(".key")
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, secret

    def _builder(self, subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )

    def _write(self, name: str, builder: x509.CertificateBuilder) -> Path:
        file = self.directory / f"{name}.pem"
        file.write_bytes(builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM))
        return file


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
