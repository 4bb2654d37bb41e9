"""Which series replaces which."""

from services.ingest.assemble import Assembled, Patch, likeness
from services.ingest.supersede import Known, rule
from shared.model.mails import Person


def a_new(
    title: str = "tcp: x", version: int = 1, *, resend: bool = False, refs: tuple[str, ...] = (), fault: str = ""
) -> Assembled:
    patch = Patch(1, 1, f"{title}-{version}", title, Person("", ""))
    return Assembled(patch.message_id, "", title, title, version, resend, (), refs, (patch,), fault=fault)


def a_known(
    id_: int, title: str = "tcp: x", version: int = 1, *, resend: bool = False, refs: tuple[str, ...] = (),
    sound: bool = True,
) -> Known:  # fmt: skip
    return Known(id_, version, resend, likeness(title), frozenset({f"{title}-{version}"}), frozenset(refs), sound)


def test_a_later_version_replaces_all_former_ones() -> None:
    ruling = rule(a_new(version=3), [a_known(1), a_known(2, version=2), a_known(3, "udp: y")])
    assert ([known.id for known in ruling.replaces], ruling.replaced_by) == ([1, 2], None)


def test_a_former_version_is_replaced_by_the_newest() -> None:
    ruling = rule(a_new(version=1), [a_known(1, version=2), a_known(2, version=4), a_known(3, version=3)])
    assert ruling.replaced_by is not None
    assert (ruling.replaces, ruling.replaced_by.id) == ((), 2)


def test_the_same_version_again_is_another_series() -> None:
    assert rule(a_new(), [a_known(1)]) == rule(a_new(), [])


def test_a_resend_replaces() -> None:
    assert [known.id for known in rule(a_new(resend=True), [a_known(1)]).replaces] == [1]
    assert rule(a_new(), [a_known(1, resend=True)]).replaced_by is not None


def test_threads_link_series_of_different_titles() -> None:
    assert rule(a_new("tcp: better", 2, refs=("tcp: x-1",)), [a_known(1)]).replaces
    late = rule(a_new("tcp: x", 1), [a_known(1, "tcp: better", 2, refs=("tcp: x-1",))])
    assert late.replaced_by is not None


def test_what_is_no_series_replaces_nothing() -> None:
    assert rule(a_new(version=2, fault="mixed"), [a_known(1)]).replaces == ()
    assert rule(a_new(version=1), [a_known(1, version=2, sound=False)]).replaced_by is None
