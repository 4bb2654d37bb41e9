"""What the doctor finds at a Patchwork."""

from pathlib import Path

from services.ingest.doctor import examine
from shared.practice.patchwork import Served
from tests.services.ingest.build import some_settings


async def test_a_patchwork_in_order(site: Served, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(site.token("nipa-bot"))
    token.chmod(0o600)
    found = await examine(some_settings(site.url, token_file=token))
    assert [finding.ok for finding in found] == [True, True]
    assert found[0].detail == "API 1.4, project netdevbpf (netdev@vger.kernel.org)"


async def test_a_wrong_token(site: Served, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("0" * 40)
    token.chmod(0o600)
    [_, finding] = await examine(some_settings(site.url, token_file=token))
    assert not finding.ok
    assert "Invalid token." in finding.detail


async def test_a_wrong_project_and_a_server_that_is_away(site: Served) -> None:
    [wrong] = await examine(some_settings(site.url, project="bpf"))
    await site.down()
    [away] = await examine(some_settings(site.url))
    assert (wrong.ok, away.ok) == (False, False)
    assert "no project 'bpf'" in wrong.detail
    assert "cannot be reached" in away.detail
