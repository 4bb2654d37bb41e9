"""What a query asks of the log, and which events that is."""

from collections.abc import Callable, Sequence

import pytest
from multidict import MultiDict

from shared.errors import Refused
from shared.web.audience import EVERYTHING
from shared.web.frames import Frame, choose, pieces
from shared.web.wanted import Facts, Filter, parse_filter


def asked(*pairs: tuple[str, str]) -> Callable[[str], Sequence[str]]:
    query = MultiDict(pairs)
    return lambda name: query.getall(name, [])


def facts(type: str = "dev.netci.run.done.v1", visibility: str = "public", **more: str) -> Facts:
    return Facts(type, more.pop("project", "netdev"), visibility, **more)


def test_filters_are_repeatable_and_take_words_by_commas() -> None:
    wanted = parse_filter(
        asked(
            ("type", "branch.cut,run.done"), ("type", "dev.netci.run.started.v1"), ("project", "netdev"),
            ("project", "bpf"), ("stream", "net, net-next"), ("remote", "metal"), ("series", "017"),
            ("series", "<x@example.org>,y@example.org"),
        )
    )  # fmt: skip
    assert wanted.types == {"dev.netci.branch.cut.v1", "dev.netci.run.done.v1", "dev.netci.run.started.v1"}
    assert wanted.projects == {"netdev", "bpf"}
    assert wanted.streams == {"net", "net-next"}
    assert wanted.remotes == {"metal"}
    assert wanted.series == {"17"}
    assert wanted.mails == {"x@example.org", "y@example.org"}


@pytest.mark.parametrize("pair", [("type", "no.such"), ("remote", ",".join(f"r{n}" for n in range(51)))])
def test_what_would_be_silence_or_endless_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(Refused, match=pair[0]):
        parse_filter(asked(pair))


@pytest.mark.parametrize(
    ("query", "event", "wanted"),
    [
        ((), facts(), True),
        ((), facts(visibility="operator"), False),
        ((("type", "branch.cut"),), facts(), False),
        ((("stream", "net"),), facts(stream="net"), True),
        ((("stream", "net"),), facts(stream="net-next"), False),
        ((("stream", "net"),), facts(), False),
        ((("remote", "a,b"),), facts(remote="b"), True),
        ((("remote", "a,b"),), facts(remote="c"), False),
        ((("series", "17"),), facts(series="17"), True),
        ((("series", "17"),), facts(series="1"), False),
        ((("series", "x@y"),), facts(series="3", message_id="x@y"), True),
        ((("series", "x@y"),), facts(series="3"), False),
        ((("remote", "a"), ("stream", "net")), facts(remote="a", stream="net-next"), False),
    ],
)
def test_an_event_passes_every_filter_by_one_word(
    query: tuple[tuple[str, str], ...], event: Facts, wanted: bool
) -> None:
    assert parse_filter(asked(*query)).wants(event) is wanted


def a_frame(sequence: int, event: Facts) -> Frame:
    return Frame(sequence, event, b"%d" % sequence * 10)


def test_a_series_that_is_waited_for_by_its_mail_is_followed_by_number_once_it_has_come() -> None:
    arrived = facts("dev.netci.series.arrived.v1", series="5", message_id="x@y")
    frames = [
        a_frame(1, facts(series="5")), a_frame(2, arrived), a_frame(3, facts(series="5")),
        a_frame(4, facts(series="6")),
    ]  # fmt: skip
    chosen, learnt = choose(frames, Filter(mails=frozenset({"x@y"}), audience=EVERYTHING))
    assert [frame.sequence for frame in chosen] == [2, 3]
    assert learnt.series == {"5"}


def test_known_mails_become_numbers() -> None:
    wanted = Filter(mails=frozenset({"x@y", "z@y"})).known({"x@y": [5, 6]})
    assert wanted.series == {"5", "6"}
    assert wanted.mails == {"z@y"}


def test_pieces_hold_all_frames_in_order_and_give_what_a_reader_lacks() -> None:
    frames = [a_frame(n, facts()) for n in range(1, 8)]
    made = list(pieces(frames, 25))
    assert b"".join(piece.data for piece in made) == b"".join(frame.wire for frame in frames)
    assert [(piece.first, piece.last) for piece in made] == [(1, 3), (4, 6), (7, 7)]
    assert made[0].after(0) is made[0].data
    assert made[0].after(2) == frames[2].wire
