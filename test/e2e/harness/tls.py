"""An authority of the tests' own, and a server's certificate from it."""

import datetime
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def _name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _certificate(subject, key, issuer, issuer_key, extensions, days):
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder(
        subject_name=_name(subject),
        issuer_name=_name(issuer),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(days=9),
        not_valid_after=now + datetime.timedelta(days=days),
    )
    for extension in extensions:
        critical = isinstance(extension, (x509.BasicConstraints, x509.KeyUsage))
        made = made.add_extension(extension, critical=critical)
    return made.sign(issuer_key, hashes.SHA256())


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    def __init__(self, directory, name="the tests' own authority"):
        self.directory = directory
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        usage = dict.fromkeys(
            ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "encipher_only", "decipher_only"], False,
        )  # fmt: skip
        extensions = [
            x509.BasicConstraints(ca=True, path_length=None),
            x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True),
        ]
        made = _certificate(name, self.key, name, self.key, extensions, days=9)
        self.file = directory / "authority.pem"
        self.file.write_bytes(_pem(made))

    def server(self, address="127.0.0.1", days=9):
        """What a server needs whose certificate is for that address; days < 0: run out."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        extensions = [names, x509.BasicConstraints(ca=False, path_length=None)]
        made = _certificate(
            address, key, self.name, self.key, extensions, days
        )  # fmt: skip
        return self._context(key, made, f"server-{address}-{days}.pem")

    def self_signed(self, address="127.0.0.1"):
        """A server's certificate that nobody vouches for."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        made = _certificate(address, key, address, key, [names], days=9)
        return self._context(key, made, "self-signed.pem")

    def _context(self, key, certificate, file_name):
        file = self.directory / file_name
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + _pem(certificate)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context
