"""What a certificate in a file says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioproxy.tls.certificate import DAY, Certificate

if TYPE_CHECKING:
    from pathlib import Path

    from certificates import Authority


def test_whose_it_is_and_until_when(authority: Authority) -> None:
    pair = authority.issue("A.org", "*.b.org", "127.0.0.1", days=10.5)
    certificate = Certificate.read(pair.certificate)
    assert certificate.dns_names == ("a.org", "*.b.org")
    assert ("IP Address", "127.0.0.1") in certificate.names
    assert certificate.days_left(certificate.ends - 10.5 * DAY) == 10
    assert certificate.days_left(certificate.ends + 1) == 0


def test_without_names_it_is_whose_subject_it_is(authority: Authority) -> None:
    assert Certificate.read(authority.issue("10.0.0.1").certificate).dns_names == ("10.0.0.1",)


def test_files_without_one(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(ValueError, match="no certificate in PEM"):
        Certificate.read(empty)
    with pytest.raises(ValueError, match="No such file"):
        Certificate.read(tmp_path / "nowhere")
