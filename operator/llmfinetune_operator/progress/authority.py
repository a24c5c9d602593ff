"""The operator's own certificate authority: its key, the endpoint's certificates, the bundle that pods trust.

The key never leaves the operator: it is made at the first start in a directory of the pod, in no Secret. Pods
get the certificate in a ConfigMap, as a bundle that keeps the certificates of other operators beside this
one's: after a change of operator, and while two of them run, every trainer can talk to each of them.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS: Final = 3650
SERVING_DAYS: Final = 30
SKEW: Final = timedelta(minutes=10)
"""Certificates are valid from that long ago, for nodes whose clocks are behind."""
MAX_BUNDLE: Final = 4
"""Most certificates in a bundle: of operators that are gone the newest stay."""
END: Final = "-----END CERTIFICATE-----\n"


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A certificate authority."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        """The certificate, for those who are to trust it."""
        return pem_of(self.certificate)

    def issue(self, names: list[str], *, now: datetime) -> tuple[str, datetime]:
        """Return key and certificate of a server with these DNS names, as PEM, and when to replace them."""
        key = ec.generate_private_key(ec.SECP256R1())
        lifetime = timedelta(days=SERVING_DAYS)
        certificate = (
            _builder(names[0][:64], key.public_key(), now=now, lifetime=lifetime)
            .issuer_name(self.certificate.subject)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        return key_pem(key) + pem_of(certificate), now + lifetime * 2 / 3


def new_authority(*, now: datetime) -> Authority:
    """Make an authority with a fresh key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"llmfinetune progress {now:%Y-%m-%dT%H:%M:%SZ}"
    builder = _builder(name, key.public_key(), now=now, lifetime=timedelta(days=AUTHORITY_DAYS))
    certificate = (
        builder.issuer_name(_name(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(key=key, certificate=certificate)


def load_or_make_authority(directory: Path, *, now: datetime) -> Authority:
    """Return the authority kept in a directory; a fresh one where there is none or it ends within a year."""
    path = directory / "ca.pem"
    if path.exists():
        kept = _parse(path.read_bytes())
        if kept.certificate.not_valid_after_utc > now + timedelta(days=365):
            return kept
    authority = new_authority(now=now)
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key_pem(authority.key) + authority.pem)
    unfinished.replace(path)
    return authority


def bundle(own: str, known: str, *, now: datetime) -> str:
    """Return `own` and those of `known` that are still valid, in an order that is the same whoever merges.

    Merging twice changes nothing: operators that run side by side come to one bundle and leave it alone.
    """
    others = {pem for pem in _split(known) if pem != own and _is_valid(pem, now)}
    newest_first = sorted(others, key=_start_and_pem, reverse=True)
    return "".join(sorted({own, *newest_first[: MAX_BUNDLE - 1]}))


def pem_of(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a private key as PEM, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _builder(
    name: str, key: ec.EllipticCurvePublicKey, *, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _parse(pem: bytes) -> Authority:
    key = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return Authority(key=key, certificate=x509.load_pem_x509_certificate(pem))


def _split(pems: str) -> list[str]:
    return [part.lstrip() + END for part in pems.split(END) if part.strip()]


def _is_valid(pem: str, now: datetime) -> bool:
    try:
        certificate = _parse_certificate(pem)
    except ValueError:
        return False
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def _start_and_pem(pem: str) -> tuple[datetime, str]:
    return _parse_certificate(pem).not_valid_before_utc, pem


def _parse_certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())
