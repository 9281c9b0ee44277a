"""Real certificates for tests: an authority, and certificates that it signs, written as PEM files."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.tls import Files

DAY = dt.timedelta(days=1)
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Authority:
    """Signs certificates."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return _pem(self.certificate)

    def issue(self, folder: Path, *names: str, trusting: bytes = b"") -> Files:
        """A certificate for these names (addresses, too), its key, and whom it trusts (this authority), in files of `folder`;
        replaces what is there.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        place = _names(names or (LOOPBACK,))
        built = _builder(_named("a service"), self.certificate.subject, key).add_extension(place, critical=False)
        signed = built.sign(self.key, hashes.SHA256())
        folder.mkdir(exist_ok=True)
        files = Files(str(folder / "tls.crt"), str(folder / "tls.key"), str(folder / "ca.crt"))
        Path(files.cert).write_bytes(_pem(signed))
        Path(files.key).write_bytes(_key(key))
        Path(files.key).chmod(0o600)
        Path(files.ca).write_bytes(trusting or self.pem)
        return files


def an_authority(name: str = "tests") -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    built = _builder(_named(name), _named(name), key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return Authority(key, built.sign(key, hashes.SHA256()))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    numbered = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    return numbered.not_valid_before(now - DAY).not_valid_after(now + DAY)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _names(names: tuple[str, ...]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_name(name) for name in names])


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key(key: ec.EllipticCurvePrivateKey) -> bytes:
    encryption = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def mounted(folder: Path, files: Files) -> Files:
    """The files as Kubernetes mounts a Secret: links into a folder that is itself a link, and is swapped when it changes."""
    folder.mkdir(exist_ok=True)
    fresh = folder / "..data_tmp"
    fresh.symlink_to(Path(files.cert).parent)
    fresh.replace(folder / "..data")
    links = [folder / Path(path).name for path in (files.cert, files.key, files.ca)]
    for link in links:
        if not link.is_symlink():
            link.symlink_to(f"..data/{link.name}")
    return Files(*map(str, links))
