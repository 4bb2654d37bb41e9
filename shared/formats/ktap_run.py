"""The log of a whole run in KTAP, as ``make run_tests`` or a KUnit kernel prints it, read as a run."""

import codecs

from shared.formats.bounded import UNPACKED
from shared.formats.faults import faulty, too_large
from shared.formats.ktap import KtapParser, Report, every_test
from shared.formats.reported import NO_GROUP, Reported, Told, detail_of
from shared.formats.run_model import CASES


def read(data: bytes, group: str = NO_GROUP) -> Reported:
    """The cases of a log; `group` is that of tests whose log names no target. Raises Faulty on a log without KTAP."""
    if len(data) > UNPACKED:
        raise too_large(UNPACKED)
    report = _report(data)
    if not report.seen:
        raise faulty("holds no KTAP: neither a plan, nor a version line, nor a result")
    told = Told()
    for case in every_test(report, group):
        told.add(case)
    for fault in (*report.faults, report.unsound):
        if fault:
            told.warn(detail_of(fault))
    return Reported(told.cases, warnings=told.warnings)


def _report(data: bytes) -> Report:
    """Decoded piece by piece: one wide character makes a whole text four times as large."""
    parser = KtapParser(max_results=CASES)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for at in range(0, len(data), 1 << 20):
        parser.feed(decoder.decode(data[at : at + (1 << 20)]))
    parser.feed(decoder.decode(b"", True))
    return parser.finish()
