"""The packetdrill suite: every script in every variant that it is for."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.executor.suites.base import Place, Spoken
from services.executor.suites.packetdrill import Packetdrill, PacketdrillConfig
from shared.model.results import Case, Cause, Result

PLACE = Place(PurePosixPath("/w"), "a" * 40)
ALL = ("ipv4", "ipv6", "ipv4-mapped-ipv6")
LISTING = "./tcp/zerocopy/basic.pkt\n./tcp/mtu/only-v4.pkt\n./tcp/mtu/only-v6.pkt\n"


def a_suite(**changes: object) -> Packetdrill:
    return Packetdrill(PacketdrillConfig.model_validate(changes))


def test_each_script_runs_in_each_variant_that_it_is_for() -> None:
    found = a_suite(variants=ALL).invocations(LISTING, PLACE)
    assert [one.test for one in found] == [
        "tcp-zerocopy-basic-ipv4", "tcp-zerocopy-basic-ipv6", "tcp-zerocopy-basic-ipv4-mapped-ipv6",
        "tcp-mtu-only-v4-ipv4", "tcp-mtu-only-v4-ipv4-mapped-ipv6", "tcp-mtu-only-v6-ipv6",
    ]  # fmt: skip


def test_a_script_runs_where_it_lies_in_a_network_of_its_own() -> None:
    first = a_suite(arguments=["--verbose"], slow=3).invocations(LISTING, PLACE)[0]
    assert first.command.cwd == PLACE.tree / "tools/testing/selftests/net/packetdrill/tcp/zerocopy"
    assert first.command.argv[4:9] == ("./basic.pkt", "unshare", "-n", "packetdrill", "--ip_version=ipv4")
    assert first.command.argv[-2:] == ("--tolerance_usecs=14000", "--verbose")
    assert first.command.env == {"KSFT_MACHINE_SLOW": "yes"}
    assert first.time_limit.total_seconds() == 135


def test_addresses_are_of_the_variants_family() -> None:
    by_variant = {one.program.split()[1]: one.command.argv for one in a_suite(variants=ALL).invocations(LISTING, PLACE)}
    assert "--local_ip=192.168.0.1" in by_variant["ipv4-mapped-ipv6"]
    assert "CMSG_LEVEL_IP=SOL_IPV6" in by_variant["ipv4-mapped-ipv6"]
    assert "--local_ip=fd3d:0a0b:17d6::1" in by_variant["ipv6"]


def test_globs_choose_by_the_path() -> None:
    assert len(a_suite(tests=["tcp/mtu/*"], variants=["ipv4"]).invocations(LISTING, PLACE)) == 1
    assert len(a_suite(skip=["tcp/mtu/*"]).invocations(LISTING, PLACE)) == 2


def test_two_scripts_of_one_spelling_stay_two_tests() -> None:
    names = [one.test for one in a_suite(variants=["ipv4"]).invocations("a-b.pkt\na_b.pkt\na_b.pkt\n", PLACE)]
    assert names == ["a-b-ipv4", "a-b-ipv4#2"]


def test_a_listing_cannot_lead_out_of_the_folder() -> None:
    assert a_suite().invocations("../../etc/x.pkt\n/etc/x.pkt\n-rf.pkt\nx.sh\n", PLACE) == ()


def test_a_folder_on_the_host_needs_no_tree() -> None:
    suite = a_suite(folder="/opt/packetdrill/gtests")
    assert suite.paths() is None
    assert suite.invocations("a.pkt", PLACE)[0].command.cwd == PurePosixPath("/opt/packetdrill/gtests")
    assert a_suite(folder="/opt/gtests", build="make").paths() == ()


@pytest.mark.parametrize(
    "wrong", [{"folder": "../x"}, {"variants": []}, {"variants": ["ipv5"]}, {"checkout": ["/x"]}, {"slow": 0.5}]
)
def test_a_wrong_key_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        a_suite(**wrong)


def read(stdout: bytes, code: int | None) -> Case:
    (invocation,) = a_suite(variants=["ipv4"]).invocations("basic.pkt", PLACE)
    (only,) = a_suite().read(invocation, Spoken(stdout, b"", code, code is None, 1.0, 0, "log"))
    return only


def test_the_exit_code_is_the_verdict_and_the_last_line_the_reason() -> None:
    said = (
        b"script packet:  0.1 . 1:1(0) ack 2\nactual packet:  0.1 . 1:1(0) ack 1\nbasic.pkt:12: error handling packet\n"
    )
    case = read(said, 1)
    assert (case.result, case.detail) == (Result.FAIL, "exit=1: basic.pkt:12: error handling packet")
    assert read(b"ok 1 fine\nnot ok 2 not KTAP here\n", 0).result is Result.PASS
    assert read(b"", None).cause is Cause.TIMEOUT


@given(st.text())
def test_any_listing_is_survived(listing: str) -> None:
    for invocation in a_suite().invocations(listing, PLACE):
        assert invocation.group == "packetdrill"


@given(st.binary(), st.one_of(st.none(), st.integers(0, 255)))
def test_any_output_is_survived(stdout: bytes, code: int | None) -> None:
    assert read(stdout, code).test == "basic-ipv4"
