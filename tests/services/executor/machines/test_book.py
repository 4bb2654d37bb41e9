"""What is remembered of machines."""

from pathlib import Path

from services.executor.machines.book import Standing, State, changed, failed, well
from services.executor.machines.file_book import FileBook


def test_failures_in_a_row_lead_to_quarantine_and_one_good_lease_out_of_suspicion() -> None:
    now = failed(Standing(), "silent", 3)
    assert (now.state, now.failures, now.why, now.dirty, now.usable) == (State.SUSPECT, 1, "silent", True, True)
    assert well(now) == Standing()
    now = failed(failed(now, "silent", 3), "no\x1b[31m carrier", 3)
    assert (now.state, now.why, now.usable) == (State.QUARANTINED, "no carrier", False)
    # What fails in quarantine or maintenance stays there.
    assert failed(now, "again", 9).state is State.QUARANTINED
    kept = well(failed(Standing(State.MAINTENANCE, why="new cable"), "silent", 1))
    assert (kept.state, kept.usable) == (State.MAINTENANCE, False)


def test_what_a_machine_says_otherwise_is_told() -> None:
    before = {"nic_firmware": "1.2", "bios": "7", "cable": "DAC"}
    assert changed(before, {"nic_firmware": "1.3", "bios": "7", "nic_speed": "100000"}) == (
        "cable: DAC → none; nic_firmware: 1.2 → 1.3; nic_speed: none → 100000"
    )
    assert changed(before, before) == changed({}, before) == ""


async def test_the_book_is_kept_in_files_and_a_torn_page_is_no_good_word(tmp_path: Path) -> None:
    book = FileBook(tmp_path / "machines")
    assert await book.standing("dut") == Standing()
    written = Standing(State.SUSPECT, 2, "silent", True, 7, {"bios": "7"})
    await book.write("dut", written)
    assert await FileBook(tmp_path / "machines").standing("dut") == written
    assert await book.standing("peer") == Standing()
    for text in ("", "{}", '{"state": "splendid"}', "[1]"):
        (tmp_path / "machines" / "dut.json").write_text(text)
        now = await book.standing("dut")
        assert (now.state, now.dirty) == (State.SUSPECT, True), text
