"""From a cage to words for bubblewrap: order, places, and what must not come before what."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.executor.cage.bare import Places, bare_order
from services.executor.cage.base import Bind, Cage, Layer, Limits
from services.executor.cage.cgroups import Parents
from services.executor.cage.inside import order_for, search_path
from services.executor.cage.machine import Machine, look
from services.executor.cage.warden.order import BARE, DROP, OWN, Order, heard, unpacked
from shared.errors import InfraError

MACHINE = Machine(
    mode=DROP, bwrap="/usr/bin/bwrap", prlimit="/usr/bin/prlimit", setpriv="/usr/bin/setpriv", env="/usr/bin/env",
    links={"/bin": "usr/bin"}, folders=("/usr",), etc=("/etc/alternatives",), path=(), tools=(), users=(61000, 61003),
    seccomp=b"", parents=Parents(1, {"memory": "/m", "pids": "/p"}), uid=0, gid=0,
)  # fmt: skip
FOLDER = Path("/state/1")


def told(order: Order) -> list[str]:
    return list(order.argv[: order.outer])


def pairs(order: Order, option: str) -> list[tuple[str, str]]:
    words = told(order)
    return [(words[n + 1], words[n + 2]) for n, word in enumerate(words) if word == option]


def test_rights_are_dropped_before_the_environment_and_the_command() -> None:
    order = order_for(Cage(env={"LD_PRELOAD": "x"}), ("make", "all"), MACHINE, FOLDER)
    inner = list(order.argv[order.outer :])
    assert inner[:2] == ["--", "/usr/bin/prlimit"]
    assert inner.index("/usr/bin/setpriv") < inner.index("/usr/bin/env") == order.ours - order.outer
    assert inner.index("/usr/bin/env") < inner.index("LD_PRELOAD=x")
    assert inner[-2:] == ["make", "all"]
    assert not any("LD_PRELOAD" in word for word in (*told(order), *order.env))


def test_an_ordinary_user_gets_a_user_namespace_and_no_drop() -> None:
    order = order_for(Cage(), ("true",), replace(MACHINE, mode=OWN, uid=1000, gid=100, setpriv=""), FOLDER)
    words = told(order)
    assert words[words.index("--uid") + 1] == "1000"
    assert "--disable-userns" in words
    assert "--cap-add" not in words
    assert "--cap-add" in told(order_for(Cage(), ("true",), MACHINE, FOLDER))


def test_places_come_in_order_and_are_read_only_unless_said() -> None:
    binds = (
        Bind(Path("/a"), "/src"), Layer(Path("/b"), "/build", Path("/up")), Bind(Path("/r"), "/results", writable=True),
        Layer(Path("/c"), "/other"), Bind(Path("/f"), "/src/in/file"),
    )  # fmt: skip
    order = order_for(Cage(binds), ("true",), MACHINE, FOLDER)
    assert pairs(order, "--ro-bind")[-2:] == [("/a", "/src"), ("/f", "/src/in/file")]
    assert pairs(order, "--bind")[-3:] == [
        ("/state/1/stage/layer0", "/build"), ("/state/1/stage/writable0", "/results"),
        ("/state/1/stage/layer1", "/other"),
    ]  # fmt: skip
    assert order.layers == (("/b", "/up"), ("/c", "/state/1/upper1"))
    assert order.writable == ("/r",)
    assert order.nested == (("/a", "in/file"),)
    words = told(order)
    assert words[-4:] == ["--remount-ro", "/dev", "--remount-ro", "/"]
    assert "/src/in" not in words


@pytest.mark.parametrize("target", ["relative", "/a/../b", "/a/", "//a/b/.."])
def test_a_target_is_a_place(target: str) -> None:
    with pytest.raises(InfraError, match="no place"):
        order_for(Cage((Bind(Path("/a"), target),)), ("true",), MACHINE, FOLDER)


@pytest.mark.parametrize("argv", [(), ("A=b", "make"), ("-x",)])
def test_a_command_is_one(argv: tuple[str, ...]) -> None:
    with pytest.raises(InfraError, match="no command"):
        order_for(Cage(), argv, MACHINE, FOLDER)


def test_limits_of_processes_stand_in_for_cgroups_that_are_not_there() -> None:
    limits = Limits(memory=1000, processes=7, disk=99)
    with_groups = order_for(Cage(limits=limits), ("true",), MACHINE, FOLDER).argv
    assert "--fsize=99" in with_groups
    assert not [word for word in with_groups if word.startswith(("--as", "--nproc"))]
    without = order_for(Cage(limits=limits), ("true",), replace(MACHINE, parents=Parents()), FOLDER).argv
    assert {"--as=1000", "--nproc=7"} <= set(without)


def test_more_tools_come_first_and_are_shown() -> None:
    assert search_path((Path("/opt/x"),)).startswith("/opt/x:/usr/local/bin:")
    order = order_for(Cage(), ("true",), replace(MACHINE, path=(Path("/opt/x"),), tools=("/opt/x",)), FOLDER)
    assert ("/opt/x", "/opt/x") in pairs(order, "--ro-bind")
    assert any(word.startswith("PATH=/opt/x:") for word in order.argv)


def test_the_tools_of_a_virtual_environment_are_shown_with_the_rest_of_it(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "pyvenv.cfg").touch()
    machine = look(BARE, (tmp_path / "bin", Path("/opt/x")), (61000, 61003))
    assert machine.tools == (str(tmp_path), "/opt/x")


def test_an_order_arrives_as_it_was_given() -> None:
    order = order_for(Cage((Layer(Path("/b"), "/x"),)), ("true",), MACHINE, FOLDER, (7,))
    arrived = unpacked(order.packed())
    assert {name: getattr(arrived, name) for name in Order.__slots__} == {
        name: getattr(order, name) for name in Order.__slots__
    }


@pytest.mark.parametrize("data", [b"", b"nonsense", b"[\x00\x00\x00\x00"])
def test_a_warden_that_says_nothing_died(data: bytes) -> None:
    assert heard(data).error == "what watches over the command died"


def test_names_of_places_become_paths_where_they_are_names() -> None:
    places = Places({"/src": "/real/tree", "/src/in": "/elsewhere", "/tmp": "/t"})
    for text, real in (
        ("/src", "/real/tree"), ("/src/a.c", "/real/tree/a.c"), ("-I/src/include", "-I/real/tree/include"),
        ("O=/tmp/x:/src", "O=/t/x:/real/tree"), ("/src/in/x", "/elsewhere/x"),
        ("cat '/src'; /src", "cat '/real/tree'; /real/tree"),
        ("/srcs /usr/src /a/src/b src/x --path/src", "/srcs /usr/src /a/src/b src/x --path/src"),
    ):  # fmt: skip
        assert places.inside_out(text) == real
    assert places.outside_in(b"/real/tree/a.c:1: /t/x") == b"/src/a.c:1: /tmp/x"


def test_without_a_cage_a_tree_is_copied_only_if_it_has_to_be() -> None:
    machine = replace(MACHINE, mode=BARE)
    binds = (Bind(Path("/a"), "/plain"), Bind(Path("/b"), "/src"), Bind(Path("/f"), "/src/x"), Layer(Path("/c"), "/w"))
    order, places = bare_order(Cage(binds, cwd="/src"), ("cat", "/src/x", "/plain/y"), machine, FOLDER)
    assert order.layers == (("/b", "/state/1/upper0"), ("/c", "/state/1/upper1"))
    assert order.over == ((0, "/f", "x"),)
    assert order.argv[-3:] == ("cat", "/state/1/upper0/data/x", "/a/y")
    assert "--chdir=/state/1/upper0/data" in order.argv
    assert places.real["/plain"] == "/a"


def test_without_a_cage_nothing_in_a_copy_is_kept() -> None:
    binds = (Layer(Path("/b"), "/src"), Bind(Path("/r"), "/src/results", writable=True))
    with pytest.raises(InfraError, match="without a cage"):
        bare_order(Cage(binds), ("true",), replace(MACHINE, mode=BARE), FOLDER)
