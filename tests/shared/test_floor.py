"""The floor: where the database and the broker are, and who we are."""

from pathlib import Path

import pytest

from shared.errors import Refused
from shared.floor import bus_url, dsn_of, holder
from shared.settings import parse


def test_the_database_is_the_first_of_file_environment_and_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://from-file\n")
    file.chmod(0o600)
    env, url = 'url_env = "NETCI_TEST_URL"\n', 'url = "postgresql://from-url"\n'
    monkeypatch.setenv("NETCI_TEST_URL", "postgresql://from-env")
    for lines, found in ((f'url_file = "{file}"\n{env}{url}', "file"), (env + url, "env"), (url, "url")):
        assert dsn_of(parse(f"projects = {{}}\n[database]\n{lines}")) == f"postgresql://from-{found}"
    monkeypatch.delenv("NETCI_TEST_URL")
    assert dsn_of(parse(f"projects = {{}}\n[database]\n{env}{url}")) == "postgresql://from-url"
    with pytest.raises(Refused, match=r"database\.url_env: the environment has no NETCI_TEST_URL"):
        dsn_of(parse(f"projects = {{}}\n[database]\n{env}"))


def test_without_any_it_is_our_own_under_the_data_folder() -> None:
    settings = parse('data = "/srv/netci"\nprojects = {}\n')
    assert dsn_of(settings) == "postgresql://netci@/netci?host=/srv/netci/run"
    assert bus_url(settings) == ""


def test_no_two_processes_are_the_same_holder() -> None:
    assert holder() != holder()
