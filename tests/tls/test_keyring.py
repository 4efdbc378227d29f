"""Certificates by name, files that change, and files that will not do."""

from __future__ import annotations

import pickle
import ssl
from typing import TYPE_CHECKING

import pytest

from trioproxy.config.tls import DownstreamTls, Pair, UpstreamTls
from trioproxy.tls.secrets import Secret, Secrets

if TYPE_CHECKING:
    from pathlib import Path

    import certificates
    from certificates import Authority


def shown(context: ssl.SSLContext, authority: Authority, name: str = "a.org") -> str:
    """Return the serial number of the certificate that a client is shown."""
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.client().wrap_bio(theirs, ours, server_hostname=name)
    server = context.wrap_bio(ours, theirs, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    certificate = client.getpeercert()
    assert certificate is not None
    return str(certificate["serialNumber"])


def tls(pair: certificates.Pair) -> DownstreamTls:
    return DownstreamTls(pair.certificate, pair.private_key)


def test_a_new_pair_is_used_from_then_on(authority: Authority) -> None:
    pair = authority.issue("a.org")
    keyring = tls(pair).keyring
    before = shown(keyring.context, authority)
    assert not keyring.refresh()
    authority.issue("a.org", to=pair)
    assert keyring.refresh()
    assert shown(keyring.context, authority) != before


def test_copies_of_a_process_know_each_others_tickets(authority: Authority) -> None:
    """It is loaded once for each configuration, however many workers come of it."""
    config = tls(authority.issue("a.org"))
    assert config.keyring is config.keyring
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_broken_pair_changes_nothing_and_is_told_of_once(authority: Authority) -> None:
    pair, other = authority.issue("a.org"), authority.issue("a.org")
    keyring = tls(pair).keyring
    before = shown(keyring.context, authority)
    pair.private_key.write_bytes(other.private_key.read_bytes())
    with pytest.raises(ValueError, match="is not the key of"):
        keyring.refresh()
    assert not keyring.refresh()
    assert shown(keyring.context, authority) == before
    pair.certificate.write_bytes(other.certificate.read_bytes())  # the other half comes later
    assert keyring.refresh()
    assert shown(keyring.context, authority) != before


def test_secrets_say_what_became_of_them(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    pair = authority.issue("a.org")
    told: list[str] = []
    secrets = Secrets()
    secrets.add(
        Secret(
            tls(pair).keyring,
            "listener web",
            lambda: told.append("loaded"),
            lambda: told.append("failed"),
        )
    )
    with caplog.at_level("INFO"):
        authority.issue("a.org", to=pair)
        secrets.look()
        pair.certificate.unlink()
        secrets.look()
        secrets.look()
    assert told == ["loaded", "failed"]
    assert "listener web: certificates were loaded anew" in caplog.text
    assert "listener web: the certificates before stay in use: " in caplog.text


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda pair: pair.certificate.unlink(), r"leaf-\d+.pem"),
        (lambda pair: pair.private_key.unlink(), r"leaf-\d+.key: No such file"),
        (lambda pair: pair.certificate.write_text("no"), r"leaf-\d+.pem"),
        (lambda pair: pair.private_key.write_text("no"), r"leaf-\d+.key"),
    ],
)
def test_what_will_not_do_is_named(authority: Authority, break_it: object, reason: str) -> None:
    pair = authority.issue("a.org")
    break_it(pair)  # type: ignore[operator]
    with pytest.raises(ValueError, match=reason):
        tls(pair).verify()


def test_whom_to_trust_has_to_be_there(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        UpstreamTls(trusted_ca=tmp_path / "nowhere.pem").verify()
    with pytest.raises(ValueError, match="ciphers"):
        UpstreamTls(trusted_ca=authority.path, ciphers="NONSENSE").verify()


def test_a_key_with_a_password_does_not_ask_for_it(authority: Authority) -> None:
    from cryptography.hazmat.primitives import serialization

    pair = authority.issue("a.org")
    key = serialization.load_pem_private_key(pair.private_key.read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    pair.private_key.write_bytes(locked)
    with pytest.raises(ValueError, match="password"):
        tls(pair).verify()


def test_nothing_old_is_spoken(authority: Authority) -> None:
    """TLS 1.2 and 1.3, forward secrecy, no compression, no renegotiation."""
    pair = authority.issue("a.org")
    context = tls(pair).keyring.context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION
    for each in context.get_ciphers():
        assert each["aead"], each
        assert each["protocol"] == "TLSv1.3" or each["kea"] == "kx-ecdhe", each


def test_several_pairs_are_chosen_by_name(authority: Authority) -> None:
    pairs = [authority.issue("a.org"), authority.issue("*.b.org")]
    several = DownstreamTls(
        certificates=tuple(Pair(each.certificate, each.private_key) for each in pairs)
    )
    keyring = several.keyring
    assert shown(keyring.context, authority) != shown(keyring.context, authority, "x.b.org")
