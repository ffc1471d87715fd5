from __future__ import annotations

from pathlib import Path

import pytest

from deployments.state.address import StateAddress, redact

ACCEPTED = {
    "redis://localhost": StateAddress("single", False, (("localhost", 6379),)),
    "redis://localhost:1234/5": StateAddress("single", False, (("localhost", 1234),), database=5),
    "rediss://u:p%40ss@host": StateAddress("single", True, (("host", 6379),), "u", "p@ss"),
    "redis://:secret@[::1]:7000/0": StateAddress("single", False, (("::1", 7000),), None, "secret"),
    "redis+sentinel://a,b:1/main/2": StateAddress(
        "sentinel", False, (("a", 26379), ("b", 1)), primary="main", database=2
    ),
    "rediss+cluster://u:p@a:1,b:2": StateAddress("cluster", True, (("a", 1), ("b", 2)), "u", "p"),
    "rediss://host/1?ca=/etc/ca%20.pem": StateAddress("single", True, (("host", 6379),), database=1, ca="/etc/ca .pem"),
    "redis://u@host?password=/run/state": StateAddress(
        "single", False, (("host", 6379),), "u", password_file="/run/state"
    ),
    "rediss+sentinel://a/main?cert=c.pem&key=k.pem": StateAddress(
        "sentinel", True, (("a", 26379),), primary="main", certificate="c.pem", private_key="k.pem"
    ),
}

REFUSED = {
    "localhost:6379": "expected embedded",
    "http://localhost": "expected embedded",
    "redis+ring://localhost": "expected embedded",
    "redis://": "expected embedded",
    "redis://user:secret": "host:port",
    "redis://a,b": "redis+sentinel or redis+cluster",
    "redis://host/name": "a number",
    "redis://host?ca=a.pem": "need a rediss URL",
    "redis://:secret@host?password=/run/state": "given twice",
    "rediss://host?db=1": "password, ca, cert and key",
    "rediss://host?ca=": "password, ca, cert and key",
    "rediss://host?ca": "password, ca, cert and key",
    "rediss://host?cert=secret.pem": "go together",
    "rediss://host?ca=a.pem&key=secret.pem": "go together",
    "redis+sentinel://a,b": "name of its primary",
    "redis+cluster://a/1": "no path",
}


@pytest.mark.parametrize(("url", "address"), ACCEPTED.items())
def test_every_form_is_read(url: str, address: StateAddress) -> None:
    assert StateAddress.parse(url) == address


@pytest.mark.parametrize(("url", "reason"), REFUSED.items())
def test_any_other_is_refused_without_repeating_it(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("+", r"\+")) as refusal:
        StateAddress.parse(url)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:1/0", "redis://host:1/0"),
        ("redis://:pw@host:1/0", "redis://:***@host:1/0"),
        ("redis+cluster://user:p@w@a:1,b:2", "redis+cluster://user:***@a:1,b:2"),
        ("rediss://u:pw@host?ca=/a@b.pem", "rediss://u:***@host?ca=/a@b.pem"),
        ("rediss://host?ca=/a:b@c.pem", "rediss://host?ca=/a:b@c.pem"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_a_password_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    assert StateAddress.parse(f"redis://host?password={file}").read_password() == "s3cret"
    assert StateAddress.parse("redis://:inline@host").read_password() == "inline"
    assert StateAddress.parse("redis://host").read_password() is None
    file.unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        StateAddress.parse(f"redis://host?password={file}").read_password()
