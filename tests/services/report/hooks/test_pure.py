"""What is decided without I/O: the schedule, addresses, signatures, seals."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from services.report.hooks.address import parse
from services.report.hooks.schedule import WAITS, Next, Past, after, rest_after
from services.report.hooks.seal import seal_of
from shared.errors import InfraError, Refused
from shared.formats.signed import key_of, new_secret, sign, verify
from tests.services.report.hooks.world import make_key, some_settings

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize("tries", range(1, len(WAITS)))
def test_a_retry_is_never_early_and_at_most_a_tenth_late(tries: int) -> None:
    waits = [after(Past(tries, 1), "failed", 500, None, chance).wait for chance in (0.0, 0.5, 1.0)]
    assert waits == pytest.approx([WAITS[tries] * f for f in (1, 1.05, 1.1)])


@given(st.integers(1, 10), st.integers(0, 50), st.floats(0, 1), st.sampled_from([429, 500, 503, None]))
def test_an_endpoint_never_rests_longer_than_its_delivery_waits(
    tries: int, failures: int, chance: float, status: int | None
) -> None:
    told = after(Past(tries, min(failures, tries)), "failed", status, 100.0, chance)
    assert told.state == "failed" or told.rest <= told.wait


def test_unknown_counts_as_an_attempt() -> None:
    assert after(Past(1, 1), "unknown", None, None, 0) == Next("due", 5.0, 5.0)
    assert after(Past(10, 10), "unknown", None, None, 0).disable


def test_a_ping_is_sent_once() -> None:
    assert after(Past(1, 0, ping=True), "failed", 500, None, 0) == Next("failed")


@pytest.mark.parametrize("status", [500, 404, None])
def test_retry_after_is_heard_only_where_it_is_about_load(status: int | None) -> None:
    assert after(Past(1, 1), "failed", status, 7000.0, 0).wait == 5


def test_a_rest_grows_to_five_minutes() -> None:
    assert [rest_after(n) for n in (0, 1, 2, 3, 7, 99)] == [0, 5, 10, 20, 300, 300]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.org/", "https://host/path"),
        ("https:///path", "https://host/path"),
        ("example.org", "https://host/path"),
        ("https://user:pw@example.org/", "signed instead"),
        ("https://user@example.org/", "signed instead"),
        ("https://example.org:25/", "port 25 is not for HTTP"),
        ("https://example.org:22/", "port 22 is not for HTTP"),
        ("https://example.org:0/", "port 0 is not for HTTP"),
        ("https://example.org:99999/", "url: Port out of range"),
        ("https://example.org/#part", "no backslash and no fragment"),
        ("https://example.org\\@evil.example/", "signed instead"),
        ("https://example.org/a b", "printable ASCII"),
        ("https://exämple.org/", "printable ASCII"),
        ("https://example.org/\r\nX: y", "printable ASCII"),
        ("https://[::1/", "url: Invalid IPv6 URL"),
        ("https://example.org/" + "x" * 2000, "over 2000 characters"),
    ],
)
def test_addresses_that_are_none(url: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        parse(url)


def test_an_address_is_taken_apart_so_that_the_name_stays() -> None:
    target = parse("https://Hook.example.org/in?key=1")
    assert (target.host, target.port, target.netloc) == ("hook.example.org", 443, "hook.example.org")
    assert target.shown == "https://hook.example.org/in"
    assert parse("https://[2001:db8::1]:8443/").netloc == "[2001:db8::1]:8443"


@given(st.text(alphabet=st.characters(max_codepoint=0x3000), max_size=60))
def test_parsing_an_address_only_ever_refuses(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.org:{text}"):
        try:
            assert parse(url).host
        except Refused:
            pass


@given(st.text())
def test_signatures_are_those_of_the_public_package(body: str) -> None:
    secret, raw = new_secret(), body.encode("utf-8", "replace")
    now = datetime(2026, 11, 23, 9, 0)  # noqa: DTZ001 - the package takes it for UTC
    stamp = int(now.replace(tzinfo=UTC).timestamp())
    ours = sign(secret, "msg_1", stamp, raw)
    assert ours == Webhook(secret).sign("msg_1", now, raw.decode())
    assert verify(secret, "msg_1", str(stamp), f"v1a,x {ours}", raw, stamp + 299) == ""
    assert verify(secret, "msg_2", str(stamp), ours, raw, stamp)
    assert verify(secret, "msg_1", str(stamp), ours, raw, stamp + 301)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_YWJj", "abc", "whsec_" + base64.b64encode(b"x" * 65).decode()])
def test_secrets_of_another_form(secret: str) -> None:
    with pytest.raises(ValueError, match="no secret of the form"):
        key_of(secret)


def test_what_is_sealed_opens_with_the_same_key_for_the_same_endpoint_only(tmp_path: Path) -> None:
    settings = some_settings(tmp_path)
    seal = seal_of(settings)
    assert seal is not None
    sealed = seal.close("wh_a", "whsec_x")
    assert b"whsec_x" not in sealed
    assert seal.open("wh_a", sealed) == "whsec_x"
    for other, ident in ((seal, "wh_b"), (seal_of(some_settings(tmp_path)), "wh_a")):
        assert other is not None
        with pytest.raises(InfraError, match="another key"):
            other.open(ident, sealed)


def test_a_key_file_that_others_read_or_that_holds_no_key_is_refused(tmp_path: Path) -> None:
    settings = some_settings(tmp_path)
    file = tmp_path / "webhooks.key"
    file.chmod(0o640)
    with pytest.raises(Refused, match="can be read by others"):
        seal_of(settings)
    make_key(file).write_text("c2hvcnQ=")
    with pytest.raises(Refused, match="does not hold 32 bytes in base64; make one with"):
        seal_of(settings)
