"""Keys and certificates of a cluster, made with the `openssl` program that Debian has.

One authority signs everything; a client's name and groups are its certificate's subject.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.command import find_tool, run

OPENSSL_HINT = "apt-get install openssl"
DAYS = "3650"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """The certificate authority of one cluster, in a folder of its own."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """What everyone trusts."""
        return self.folder / "ca.crt"

    @property
    def key(self) -> Path:
        """What signs."""
        return self.folder / "ca.key"

    def ensure(self) -> None:
        """Make the authority unless it is there."""
        if self.certificate.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._openssl(
            *("req", "-x509", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-keyout", self.key, "-out", self.certificate, "-days", DAYS),
            *("-subj", "/CN=llmfinetune-dev-cluster"),
            *(
                "-addext",
                "basicConstraints=critical,CA:TRUE",
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
            ),
        )

    def issue(self, file_name: str, subject: str, names: Sequence[str] = ()) -> KeyPair:
        """Return a pair signed by the authority; `names` are such as `IP:127.0.0.1` or `DNS:localhost`."""
        pair = KeyPair(self.folder / f"{file_name}.crt", self.folder / f"{file_name}.key")
        wanted = "\n".join([subject, *names])
        record = self.folder / f"{file_name}.request"
        if pair.certificate.exists() and record.exists() and record.read_text() == wanted:
            return pair
        extensions = [f"subjectAltName={','.join(names)}"] if names else []
        self._openssl(
            *("req", "-x509", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-keyout", pair.key, "-out", pair.certificate, "-days", DAYS, "-subj", subject),
            *("-CA", self.certificate, "-CAkey", self.key),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
            *("-addext", "extendedKeyUsage=serverAuth,clientAuth"),
            *(part for extension in extensions for part in ("-addext", extension)),
        )
        record.write_text(wanted)
        return pair

    def service_account_key(self) -> Path:
        """Return the key that signs service account tokens."""
        key = self.folder / "service-account.key"
        if not key.exists():
            self._openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key)
        return key

    def _openssl(self, *arguments: str | Path) -> None:
        run([find_tool("openssl", hint=OPENSSL_HINT), *arguments])
