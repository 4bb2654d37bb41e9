"""What every body of isolation promises, the one without a cage included."""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from services.executor.cage.bare import Bare
from services.executor.cage.base import MIB, Bind, Cage, Layer
from services.executor.cage.bubblewrap import Bubblewrap
from services.executor.cage.inside import HOME
from shared.errors import InfraError
from tests.services.executor.cage.boxes import LIMITS, a_cage, a_tree, contents, groups, python, running, sh

pytestmark = pytest.mark.timeout(120)
Body = Bubblewrap | Bare


async def test_streams_and_status_come_back(isolation: Body) -> None:
    ran = await sh(isolation, "echo out; echo err >&2; exit 7")
    assert (ran.code, ran.stdout, ran.stderr, ran.ended, ran.ok) == (7, b"out\n", b"err\n", "exit", False)
    assert (await sh(isolation, "true")).ok


async def test_a_signal_is_told_as_a_shell_would(isolation: Body) -> None:
    ran = await sh(isolation, "kill -SEGV $$")
    assert (ran.code, ran.ended) == (139, "exit")


async def test_both_streams_are_merged_as_they_come_and_heard_meanwhile(isolation: Body) -> None:
    pieces: list[bytes] = []
    text = "for i in 1 2 3; do echo out $i; sleep 0.1; echo err $i >&2; sleep 0.1; done"
    ran = await isolation.run(a_cage(), ("sh", "-c", text), heard=pieces.append)
    assert ran.merged == b"out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n"
    assert b"".join(pieces) == ran.merged
    assert len(pieces) == 6


async def test_a_listener_that_fails_ends_the_command(isolation: Body) -> None:
    def fail(piece: bytes) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await isolation.run(a_cage(), ("sh", "-c", "echo; sleep 86386"), heard=fail)
    assert running("86386") == []


async def test_input_is_there_and_may_be_opened_anew(isolation: Body) -> None:
    ran = await sh(isolation, "cat; cat /dev/stdin | wc -c", stdin=b"x" * 300_000)
    assert ran.stdout == b"x" * 300_000 + b"300000\n"
    assert (await sh(isolation, "cat")).stdout == b""


async def test_streams_may_be_opened_anew(isolation: Body) -> None:
    ran = await sh(isolation, "echo out > /dev/stdout; echo err > /dev/stderr")
    assert (ran.stdout, ran.stderr) == (b"out\n", b"err\n")


async def test_words_and_environment_arrive_as_they_are(isolation: Body) -> None:
    odd = "a b'c\"d$HOME\\;é\n*{uid}"
    ran = await isolation.run(Cage(env={"X": odd}, limits=LIMITS), ("sh", "-c", 'printf %s "$1$X"', "-", odd))
    assert ran.stdout.decode() == odd + odd


async def test_the_environment_is_ours_alone(isolation: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETCI_PATCHWORK_TOKEN", "hush")
    ran = await sh(isolation, "env -u _ -u PWD -u OLDPWD -u SHLVL | cut -d= -f1 | sort | tr '\\n' ' '")
    assert ran.stdout == b"HOME LANG PATH TMPDIR "
    assert (await sh(isolation, 'echo "$LANG" "$HOME"; touch "$HOME/x" "$TMPDIR/x"')).stdout.endswith(
        f"{HOME}\n".encode()
    )


async def test_a_variable_does_not_reach_our_own_programs(caged: Bubblewrap) -> None:
    cage = Cage(env={"LD_PRELOAD": "/nowhere/evil.so", "LD_DEBUG": "files"}, limits=LIMITS)
    ran = await caged.run(cage, ("/usr/bin/true",))
    assert b"setpriv" not in ran.stderr
    assert b"prlimit" not in ran.stderr
    assert b"evil.so" in ran.stderr


async def test_descriptors_are_passed_and_no_other_is(isolation: Body) -> None:
    read, write = os.pipe()
    script = f"echo said >&{write}; echo anew > /dev/fd/{write}; ls /proc/self/fd | tr '\\n' ' '"
    ran = await isolation.run(a_cage(), ("bash", "-c", script), pass_fds=(write,))
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"said\nanew\n"
    assert set(map(int, ran.stdout.split())) - {write} <= {0, 1, 2, 3}


async def test_what_is_bound_is_there_and_is_only_read(caged: Bubblewrap, place: Path) -> None:
    tree = a_tree(place)
    before = contents(tree)
    cage = Cage((Bind(tree, "/deep/in/src"), Bind(tree / "Makefile", "/in/one")), cwd="/deep/in/src", limits=LIMITS)
    ran = await sh(
        caged, "pwd; cat scripts/checkpatch.pl /in/one; touch new || rm Makefile || echo no > Makefile", cage
    )
    assert ran.stdout == b"/deep/in/src\nthe judgeall:\n\techo made\n"
    assert ran.stderr.count(b"Read-only file system") == 3
    assert contents(tree) == before


async def test_places_have_their_names_without_a_cage_too(isolation: Body, place: Path) -> None:
    tree = a_tree(place)
    cage = Cage((Bind(tree, "/src"),), env={"TREE": "/src"}, cwd="/src/scripts", limits=LIMITS)
    ran = await sh(isolation, "pwd; cat /src/scripts/checkpatch.pl $TREE/Makefile; ls -d /srcs", cage)
    assert ran.stdout == b"/src/scripts\nthe judgeall:\n\techo made\n"
    assert b"/srcs" in ran.stderr


async def test_results_stay(isolation: Body, place: Path) -> None:
    results = place / "results"
    results.mkdir()
    cage = Cage((Bind(results, "/results", writable=True),), limits=LIMITS)
    assert (await sh(isolation, "echo first > /results/one; mkdir /results/two", cage)).ok
    ran = await sh(isolation, "echo more >> /results/one; touch /results/two/x; chmod 600 /results/one", cage)
    assert (ran.stderr, ran.code) == (b"", 0)
    assert (results / "one").read_text() == "first\nmore\n"


async def test_a_folder_shown_in_another(isolation: Body, place: Path) -> None:
    tree, other = a_tree(place), place / "other"
    other.write_text("shown instead")
    binds = (Bind(tree, "/src"), Bind(other, "/src/scripts/checkpatch.pl"))
    ran = await sh(isolation, "cat /src/scripts/checkpatch.pl; cat /src/Makefile", Cage(binds, limits=LIMITS))
    assert ran.stdout == b"shown instead" + b"all:\n\techo made\n"
    assert (tree / "scripts" / "checkpatch.pl").read_text() == "the judge"


async def test_a_layer_may_be_written_and_its_tree_is_as_it_was(isolation: Body, place: Path) -> None:
    tree = a_tree(place)
    before = contents(tree)
    script = """
        set -e
        cat secretive; echo changed > secretive; chmod 755 Makefile; touch -d 2001-01-01 scripts/checkpatch.pl
        rm scripts/checkpatch.pl; mkdir -p a/b; mv Makefile a/b; ln -s nowhere link; ls -R | tr '\\n' ' '
    """
    ran = await sh(isolation, script, a_cage(Layer(tree, "/src"), cwd="/src"))
    assert ran.stderr == b""
    assert ran.stdout == b"for its owner.: a link scripts secretive  ./a: b  ./a/b: Makefile  ./scripts: "
    assert contents(tree) == before
    assert (
        await sh(isolation, "ls", a_cage(Layer(tree, "/src"), cwd="/src"))
    ).stdout == b"Makefile\nscripts\nsecretive\n"


async def test_an_upper_folder_is_kept_from_one_command_to_the_next(isolation: Body, place: Path) -> None:
    tree, upper = a_tree(place), place / "upper"
    before = contents(tree)
    cage = a_cage(Layer(tree, "/src", upper), cwd="/src")
    assert (await sh(isolation, "echo one > new; rm Makefile; chmod 700 scripts", cage)).ok
    ran = await sh(isolation, "echo two >> new; cat new; ls; echo more >> scripts/checkpatch.pl", cage)
    assert (ran.stdout, ran.stderr) == (b"one\ntwo\nnew\nscripts\nsecretive\n", b"")
    assert contents(tree) == before
    assert (await sh(isolation, "cat new", a_cage(Layer(tree, "/src"), cwd="/src"))).code == 1


async def test_time_is_limited(isolation: Body) -> None:
    ran = await sh(isolation, "echo begun; sleep 86399", a_cage(limits=LIMITS.lasting(1)))
    assert (ran.ended, ran.code, ran.stdout, ran.said) == ("time", 137, b"begun\n", "took longer than it may")
    assert running("86399") == []


async def test_memory_is_limited(isolation: Body) -> None:
    ran = await python(isolation, "x = bytes(range(256)) * (2 << 20); print(len(x))")
    assert not ran.ok
    assert b"536870912" not in ran.stdout
    if "memory" in isolation.machine.parents:
        assert ran.ended == "memory"


async def test_output_is_limited(isolation: Body) -> None:
    heard: list[bytes] = []
    ran = await isolation.run(a_cage(), ("yes",), heard=heard.append)
    assert (ran.ended, ran.code, len(ran.stdout)) == ("output", 137, MIB)
    assert ran.dropped > 0
    assert sum(map(len, heard)) == MIB


async def test_what_ended_by_itself_with_too_much_output_is_told(isolation: Body) -> None:
    ran = await sh(isolation, "head -c 1100000 /dev/zero; echo fine >&2")
    assert (ran.ended, len(ran.stdout)) == ("output", MIB)
    assert 0 < ran.dropped <= 1100000 - MIB


async def test_processes_are_limited(isolation: Body) -> None:
    ran = await sh(isolation, "for i in $(seq 200); do sleep 86398 & done; wait")
    assert running("86398") == []
    assert not ran.ok
    if "pids" in isolation.machine.parents:
        assert ran.ended == "processes"


async def test_disk_is_limited_wherever_it_is_written(isolation: Body, place: Path) -> None:
    results = place / "results"
    results.mkdir()
    binds = (Layer(a_tree(place), "/src"), Bind(results, "/results", writable=True))
    for where in ("/tmp", "$HOME", "/src", "/results"):
        script = f"for i in $(seq 100); do head -c 2M /dev/zero > {where}/x$i; sleep 0.02; done; sleep 30"
        ran = await sh(isolation, script, Cage(binds, limits=LIMITS))
        assert (where, ran.ended) == (where, "disk")
        for left in results.iterdir():
            left.unlink()


async def test_a_file_that_is_all_it_may_write(isolation: Body, place: Path) -> None:
    cage = a_cage(Layer(a_tree(place), "/src"))
    for where in ("/tmp", "/src"):
        assert (await sh(isolation, f"head -c 40M /dev/zero > {where}/x", cage)).ended == "disk"


async def test_what_is_left_behind_dies_with_the_command(isolation: Body) -> None:
    script = "(setsid sh -c 'sleep 86397 & sleep 86397' &) ; setsid nohup sleep 86397 & echo done"
    ran = await sh(isolation, script)
    assert (ran.code, ran.ended, ran.stdout) == (0, "exit", b"done\n")
    assert running("86397") == []


async def test_cancelled_nothing_is_left(isolation: Body, place: Path) -> None:
    begun = asyncio.Event()
    cage = a_cage(Layer(a_tree(place), "/src"))
    command = ("sh", "-c", "setsid sleep 86396 & echo begun; sleep 86396")
    task = asyncio.ensure_future(isolation.run(cage, command, heard=lambda piece: begun.set()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert running("86396") == []
    assert groups(isolation) == []


async def test_cancelled_at_any_moment_nothing_is_left(isolation: Body) -> None:
    for step in range(12):
        task = asyncio.ensure_future(isolation.run(a_cage(), ("sleep", "86395")))
        await asyncio.sleep(step * 0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert running("86395") == []
    assert groups(isolation) == []


async def test_many_at_one_time_are_apart(isolation: Body) -> None:
    script = "echo $0 > $TMPDIR/x; id -u >&2; sleep 0.5; cat $TMPDIR/x; ls $TMPDIR | wc -l"
    many = [isolation.run(a_cage(), ("sh", "-c", script, str(number))) for number in range(6)]
    found = await asyncio.gather(*many)
    assert [ran.stdout for ran in found] == [f"{number}\n1\n".encode() for number in range(6)]
    if os.geteuid() == 0 and isolation.name == "bubblewrap":
        assert len({ran.stderr for ran in found}) == 6


async def test_a_command_that_is_not_there(isolation: Body) -> None:
    ran = await isolation.run(a_cage(), ("no-such-program",))
    assert (ran.code, ran.ended) == (127, "exit")


async def test_a_cage_that_cannot_be_made_is_our_fault(caged: Bubblewrap) -> None:
    for binds in ((Bind(Path("/no/such/folder"), "/x"),), (Bind(Path("/usr"), "relative"),)):
        with pytest.raises(InfraError):
            await caged.run(Cage(binds, limits=LIMITS), ("true",))
    with pytest.raises(InfraError):
        await caged.run(Cage(cwd="/", limits=replace(LIMITS, disk=-1)), ("true",))
    assert (await sh(caged, "true")).ok
    assert groups(caged) == []


async def test_more_tools_come_first(place: Path) -> None:
    from services.executor.cage.at_hand import isolation_for
    from shared.settings import Checks

    tools = place / "tools"
    tools.mkdir()
    (tools / "ls").write_text("#!/bin/sh\necho ours\n")
    (tools / "ls").chmod(0o755)
    place.chmod(0o755)
    for kind in ("auto", "bare"):
        isolation = isolation_for(Checks(isolation=kind, path=(tools,)), place / "state")
        assert (await sh(isolation, "ls")).stdout == b"ours\n"
        isolation.close()


async def test_the_warden_starts_without_the_weight_of_ours() -> None:
    script = "import services.executor.cage.warden.boot, sys; print(*sys.modules)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-c", script, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[4]
    )
    said, _ = await process.communicate()
    loaded = set(said.decode().split())
    assert "services.executor.cage.warden.boot" in loaded
    assert not loaded & {"typing", "dataclasses", "json", "subprocess", "asyncio", "pydantic", "shared"}
