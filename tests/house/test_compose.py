"""compose.yaml keeps the specification's form and our rules on users, secrets, health and volumes.

No container engine is asked. The schema beside this file is ours: the part of the Compose Specification that the
file uses, closed, so that a misspelt key is a fault.
"""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from services.ingest.api.callers import callers_of
from services.report.hooks.seal import seal_of
from shared.settings import parse
from tests.house.files import ROOMS, ROOT, compose, service

SERVICES = sorted(compose()["services"])
OURS = (*ROOMS, "migrate")
WHO_READS = {
    "patchwork_token": "report", "push_key": "branch", "host_key": "executor",
    "hooks_secret": "ingest", "webhooks_key": "report",
    "database_superuser": "database", "database_roles": "database", "broker_login": "broker",
    "owner_database_url": "migrate", "owner_bus_url": "migrate",
    **{f"{room}_{what}": room for room in ROOMS for what in ("database_url", "bus_url")},
}  # fmt: skip

CAGES = {"checks": ["seccomp:unconfined", "apparmor:unconfined", "systempaths=unconfined"]}
"""Who may make user namespaces, and mount a /proc in them."""


def secrets_of(name: str) -> dict[str, str]:
    return {grant["source"]: grant["target"] for grant in service(name).get("secrets", [])}


def test_form() -> None:
    schema = json.loads((ROOT / "tests/house/compose.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    faults = jsonschema.Draft202012Validator(schema).iter_errors(compose())
    assert [f"{'.'.join(map(str, fault.absolute_path))}: {fault.message}" for fault in faults] == []


def test_a_misspelt_key_would_be_found() -> None:
    schema = json.loads((ROOT / "tests/house/compose.schema.json").read_text())
    wrong = json.loads(json.dumps(compose()))
    wrong["services"]["ingest"]["read_onyl"] = True
    with pytest.raises(jsonschema.ValidationError, match="read_onyl"):
        jsonschema.validate(wrong, schema)


def test_each_secret_is_mounted_only_where_it_is_used() -> None:
    mounted = {(secret, name) for name in SERVICES for secret in secrets_of(name)}
    assert mounted == set(WHO_READS.items())
    assert set(compose()["secrets"]) == set(WHO_READS)


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_in_the_environment_or_on_the_command_line(name: str) -> None:
    words = [*map(str, service(name).get("command", [])), *map(str, service(name).get("environment", {}).values())]
    keys = [key for key in service(name).get("environment", {}) if not key.endswith("_FILE")]
    assert [word for word in words if "://" in word] == []
    assert [key for key in keys if re.search("PASSWORD|TOKEN|SECRET|KEY|URL", key)] == []


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_is_root(name: str) -> None:
    user = service(name)["user"]
    assert int(user.split(":")[0]) > 0
    assert service(name)["cap_drop"] == ["ALL"]
    assert service(name)["security_opt"] == ["no-new-privileges:true", *CAGES.get(name, [])]
    assert not {"privileged", "cap_add", "network_mode", "pid"} & service(name).keys()


def test_each_room_is_a_user_of_its_own_that_the_image_knows() -> None:
    users = [service(name)["user"] for name in OURS]
    assert len(set(users)) == len(users)
    image = (ROOT / "Containerfile").read_text()
    assert [user for user in users if f"--uid {user.split(':')[0]} " not in image] == []


@pytest.mark.parametrize("name", [*OURS, "proxy"])
def test_root_file_system_is_read_only(name: str) -> None:
    assert service(name)["read_only"] is True


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_runs_its_own_room(room: str) -> None:
    assert service(room)["command"] == ["netci", "run", room]


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "migrate"])
def test_health_checks(name: str) -> None:
    assert service(name)["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("room", ROOMS)
def test_a_rooms_check_asks_the_port_that_it_opens(room: str) -> None:
    port = service(room)["environment"]["NETCI_HEALTH_LISTEN"].rpartition(":")[2]
    assert f"http://127.0.0.1:{port}/readyz" in service(room)["healthcheck"]["test"][-1]


def test_rooms_wait_for_what_they_need() -> None:
    for room in ROOMS:
        waits = {name: rule["condition"] for name, rule in service(room)["depends_on"].items()}
        assert waits == {
            "database": "service_healthy", "broker": "service_healthy", "migrate": "service_completed_successfully",
        }  # fmt: skip


def test_volumes_configs_and_networks_are_declared_and_used() -> None:
    for kind, names in (("volumes", used_volumes()), ("networks", used("networks")), ("configs", used_configs())):
        assert names == set(compose()[kind]), kind


def used_volumes() -> set[str]:
    return {volume.split(":")[0] for name in SERVICES for volume in service(name).get("volumes", [])}


def used(kind: str) -> set[str]:
    return {word for name in SERVICES for word in service(name).get(kind, [])}


def used_configs() -> set[str]:
    return {grant["source"] for name in SERVICES for grant in service(name).get("configs", [])}


def test_images_are_pinned_by_tag_and_plainly_named() -> None:
    for name in SERVICES:
        assert re.fullmatch(r"[a-z-]+:\d+\.\d+(\.\d+)?", service(name)["image"]), name
    text = (ROOT / "Containerfile").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    bases = set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) - stages
    assert bases
    assert all(re.fullmatch(r"[a-z]+:\d+\.\d+\.\d+[a-z-]*", base) for base in bases), bases


def test_our_image_has_the_projects_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {service(name)["image"] for name in OURS if name != "checks"} == {f"netci:{version}"}
    assert service("checks")["image"] == f"netci-checks:{version}"


def test_what_is_built_is_a_stage_of_the_containerfile() -> None:
    text = (ROOT / "Containerfile").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    assert {service(name)["build"]["target"] for name in OURS} == stages - {"build"}
    assert service("checks")["build"]["target"] == "checks"


def test_who_runs_what_patches_bring_has_no_key_of_anything() -> None:
    assert set(secrets_of("checks").values()) == {"database_url", "bus_url"}
    assert {volume.split(":")[0] for volume in service("checks")["volumes"]} == {"checks", "blobs"}
    assert "front" not in service("checks")["networks"]


def test_only_the_proxy_is_published_and_the_stores_reach_nothing() -> None:
    assert [name for name in SERVICES if service(name).get("ports")] == ["proxy"]
    assert compose()["networks"]["inside"] == {"internal": True}
    for name in ("database", "broker"):
        assert service(name)["networks"] == ["inside"]


def test_the_shipped_configuration_fits_the_containers() -> None:
    settings = parse((ROOT / "config/compose.toml").read_text(), "compose.toml")
    subnet = compose()["networks"]["front"]["ipam"]["config"][0]["subnet"]
    assert settings.web.trusted_proxies == (subnet,)
    upstreams = (ROOT / "config/nginx/upstreams.conf").read_text()
    assert f"server report:{settings.web.listen.rpartition(':')[2]};" in upstreams
    assert f"server ingest:{settings.ingest.listen.rpartition(':')[2]};" in upstreams
    listen = (ROOT / "config/nginx/listen.conf").read_text()
    assert f"listen {service('proxy')['ports'][0].split(':')[1]};" in listen


def test_files_named_in_the_configuration_are_mounted_where_they_are_read() -> None:
    text = (ROOT / "config/compose.toml").read_text()
    named = set(re.findall(r'"/run/secrets/(\w+)"', text))
    mounted = {target for name in ROOMS for target in secrets_of(name).values()}
    assert named == mounted
    for room in ROOMS:
        assert {"database_url", "bus_url"} <= set(secrets_of(room).values())


def prepared(folder: Path) -> subprocess.CompletedProcess[str]:
    config = folder / "config"
    config.mkdir(exist_ok=True)
    (config / "compose.toml").write_bytes((ROOT / "config/compose.toml").read_bytes())
    command = ["sh", str(ROOT / "config/prepare"), "secrets", "config"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def test_prepare_makes_every_secret_for_its_reader_only(tmp_path: Path) -> None:
    prepared(tmp_path)
    made = {path.name: path.stat() for path in (tmp_path / "secrets").iterdir() if path.name != ".gitignore"}
    assert set(made) == set(WHO_READS)
    assert {stat.st_mode & 0o777 for stat in made.values()} == {0o600}
    if os.getuid() == 0:
        users = {name: int(service(reader)["user"].split(":")[0]) for name, reader in WHO_READS.items()}
        assert {name: stat.st_uid for name, stat in made.items()} == users


def test_prepare_gives_every_login_a_password_of_its_own(tmp_path: Path) -> None:
    prepared(tmp_path)
    roles = dict(line.split() for line in (tmp_path / "secrets/database_roles").read_text().splitlines())
    assert set(roles) == {"netci", *(f"netci_{room}" for room in ROOMS)}
    assert len(set(roles.values())) == len(roles)
    for room in ROOMS:
        url = (tmp_path / f"secrets/{room}_database_url").read_text().strip()
        assert url == f"postgresql://netci_{room}:{roles[f'netci_{room}']}@database/netci"


def test_prepare_makes_what_hooks_are_signed_and_sealed_with(tmp_path: Path) -> None:
    prepared(tmp_path)
    made = {name: tmp_path / "secrets" / name for name in ("hooks_secret", "webhooks_key")}
    text = (ROOT / "config/compose.toml").read_text()
    for name, file in made.items():
        text = text.replace(f"/run/secrets/{name}", str(file))
    settings = parse(text, "compose.toml")
    assert seal_of(settings) is not None
    assert list(callers_of(settings).secrets) == ["/hooks/patchwork/netdev"]


def test_prepare_leaves_what_is_there(tmp_path: Path) -> None:
    prepared(tmp_path)
    (tmp_path / "secrets/patchwork_token").write_text("mine")
    (tmp_path / "config/netci.toml").write_text("# mine")
    before = contents(tmp_path / "secrets") | contents(tmp_path / "config")
    prepared(tmp_path)
    assert contents(tmp_path / "secrets") | contents(tmp_path / "config") == before


def test_no_registry_and_no_secret_stand_in_what_we_ship() -> None:
    text = "".join((ROOT / name).read_text() for name in ("compose.yaml", "Containerfile"))
    assert not re.search(r"\b(docker\.io|ghcr\.io|quay\.io|index-url|registry\.)", text)


def values(data: Any) -> list[str]:
    if isinstance(data, dict):
        return [word for value in data.values() for word in values(value)]
    return [word for value in data for word in values(value)] if isinstance(data, list) else [str(data)]


def test_every_mounted_file_is_shipped_or_prepared(tmp_path: Path) -> None:
    prepared(tmp_path)
    made = {"./config/netci.toml", "./config/known_hosts", *(f"./secrets/{name}" for name in WHO_READS)}
    named = set(values(compose()["configs"])) | set(values(compose()["secrets"]))
    assert [name for name in named - made if not (ROOT / name).is_file()] == []
    assert [name for name in made if not (tmp_path / name).is_file()] == []
