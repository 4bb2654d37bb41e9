"""Which cgroups are found at hand, on machines of both versions and of none; what dead wardens left is removed."""

import os
from pathlib import Path

from services.executor.cage.cgroups import Parents, find_parents, read_groups, read_mounts, sweep
from services.executor.cage.warden.watch import group_name, started

V1 = """\
30 25 0:26 / {at}/memory rw,relatime - cgroup cgroup rw,memory
31 25 0:27 / {at}/pids rw,relatime - cgroup cgroup rw,pids
32 25 0:28 / {at}/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
24 1 254:0 / / rw,relatime - ext4 /dev/vda rw
"""
V2 = "30 25 0:26 {root} {at} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def a_machine(place: Path, mounts: str, own: str, folders: dict[str, dict[str, str]]) -> tuple[str, str]:
    """Files as /proc has them, and folders that look like cgroups."""
    for folder, files in folders.items():
        (place / folder).mkdir(parents=True)
        for name, text in {"cgroup.procs": "", **files}.items():
            (place / folder / name).write_text(text)
    (place / "mountinfo").write_text(mounts)
    (place / "own").write_text(own)
    return str(place / "mountinfo"), str(place / "own")


def test_version_1_below_our_own_group(tmp_path: Path) -> None:
    own = "5:pids:/\n4:memory:/system/netci\n0::/\n"
    files = a_machine(tmp_path, V1.format(at=tmp_path), own, {"memory/system/netci": {}, "pids": {}})
    assert find_parents(*files) == Parents(
        1, {"memory": str(tmp_path / "memory/system/netci"), "pids": str(tmp_path / "pids") + "/"}
    )


def test_a_group_that_we_cannot_see_is_the_one_that_is_mounted(tmp_path: Path) -> None:
    files = a_machine(tmp_path, V1.format(at=tmp_path), "4:memory:/of/the/host\n", {"memory": {}})
    assert find_parents(*files) == Parents(1, {"memory": str(tmp_path / "memory")})


def test_version_2_that_gives_us_both(tmp_path: Path) -> None:
    files = a_machine(
        tmp_path, V2.format(root="/", at=tmp_path), "0::/netci.service\n",
        {"netci.service": {"cgroup.controllers": "cpu memory pids", "cgroup.subtree_control": "memory pids"}},
    )  # fmt: skip
    folder = str(tmp_path / "netci.service")
    assert find_parents(*files) == Parents(2, {"memory": folder, "pids": folder})


def test_version_2_turns_the_controllers_on(tmp_path: Path) -> None:
    files = a_machine(
        tmp_path, V2.format(root="/", at=tmp_path), "0::/netci.service/netci-service\n",
        {"netci.service": {"cgroup.controllers": "memory pids", "cgroup.subtree_control": ""},
         "netci.service/netci-service": {}},
    )  # fmt: skip
    assert find_parents(*files).version == 2
    assert (tmp_path / "netci.service" / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_version_2_without_the_controllers_is_none(tmp_path: Path) -> None:
    files = a_machine(tmp_path, V2.format(root="/", at=tmp_path), "0::/\n", {})
    (tmp_path / "cgroup.controllers").write_text("hugetlb")
    (tmp_path / "cgroup.procs").write_text("")
    assert find_parents(*files) == Parents()


def test_nothing_at_all(tmp_path: Path) -> None:
    assert find_parents(str(tmp_path / "no"), str(tmp_path / "no")) == Parents()
    assert find_parents(*a_machine(tmp_path, "", "", {})) == Parents()


def test_what_the_kernel_says_is_read() -> None:
    assert [mount.controllers for mount in read_mounts(V1.format(at="/c"))] == [
        {"memory"},
        {"pids"},
        {"cpu", "cpuacct"},
    ]
    (mount,) = read_mounts(V2.format(root="/a", at="/b"))
    assert (mount.at, mount.root, mount.controllers) == ("/b", "/a", frozenset())
    assert read_groups("3:cpu,cpuacct:/x:y\n0::/z\n") == {"cpu": "/x:y", "cpuacct": "/x:y", "": "/z"}


def test_groups_of_dead_wardens_are_swept_and_others_are_not(tmp_path: Path) -> None:
    alive = group_name(os.getpid())
    ours = alive.split("-")[2]
    dead, recycled = f"netci-command-{ours}-999999999-5", f"netci-command-{ours}-{os.getpid()}-5"
    foreign, forgotten = "netci-command-1-999999999-5", "netci-command-1-999999999-6"
    for name in (alive, dead, recycled, foreign, forgotten, "somebody"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / forgotten, (0, 0))
    sweep(Parents(1, {"memory": str(tmp_path)}))
    assert {path.name for path in tmp_path.iterdir()} == {alive, foreign, "somebody"}


def test_a_process_has_a_beginning() -> None:
    assert started(os.getpid()).isdigit()
    assert started(999999999) == ""
