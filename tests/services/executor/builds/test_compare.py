"""What a patch changed in what a build says."""

from collections.abc import Mapping

from services.executor.builds.compare import Change, Comparison, Standing, compare, stand
from services.executor.builds.diagnostics import Diagnostic, Log

Said = tuple[Diagnostic, ...]
NOTHING = Change()


def a(text: str, line: int | None = 1, path: str = "net/a.c") -> Diagnostic:
    return Diagnostic(text, path, line, 1 if line else None)


def after(
    before: Mapping[str, Said], log: Mapping[str, Said], change: Change = NOTHING, *, built: bool = True,
    base_built: bool = True, parent_built: bool = True, products: tuple[frozenset[str], frozenset[str]] | None = None,
) -> Comparison:  # fmt: skip
    was, now = products or (frozenset(), frozenset())
    base = Standing(before, base_built)
    parent = Standing(before, parent_built and base_built, products=was)
    return compare(base, parent, stand(parent, Log(log), built, now, change), Log(log), change)


def new(found: Comparison) -> list[tuple[str, int | None]]:
    return [(one.diagnostic.text, one.diagnostic.line) for one in found.new]


def test_nothing_built_again_is_nothing_new() -> None:
    found = after({"net/a": (a("x"),)}, {})
    assert (found.before, found.after, found.new, found.rebuilt) == (0, 0, (), 0)


def test_a_new_message_is_new_and_only_what_was_built_again_is_counted() -> None:
    found = after({"net/a": (a("x"),), "net/b": (a("z", path="net/b.c"),)}, {"net/a": (a("x"), a("y", 3))})
    assert (found.before, found.after, new(found)) == (1, 2, [("y", 3)])
    assert [one.diagnostic.text for one in found.old] == ["x"]


def test_a_message_that_moved_is_not_new() -> None:
    assert new(after({"net/a": (a("x", 1),)}, {"net/a": (a("x", 40),)})) == []


def test_a_replaced_message_at_equal_count_is_new() -> None:
    found = after({"net/a": (a("x"),)}, {"net/a": (a("y"),)})
    assert (found.before, found.after, new(found)) == (1, 1, [("y", 1)])


def test_the_same_message_once_more_is_new_where_there_was_none() -> None:
    assert new(after({"net/a": (a("x", 1),)}, {"net/a": (a("x", 1), a("x", 9))})) == [("x", 9)]


def test_a_mended_message_is_no_fault() -> None:
    found = after({"net/a": (a("x"), a("y", 2))}, {"net/a": (a("y", 1),)})
    assert (found.before, found.after, found.new) == (2, 1, ())


def test_a_message_of_a_header_counts_once_in_however_many_units_it_stands() -> None:
    header = a("x", 7, "include/a.h")
    found = after({"net/a": (), "net/b": ()}, {"net/a": (header,), "net/b": (header,)})
    assert (found.after, new(found), found.new[0].units) == (1, [("x", 7)], 2)


def test_a_new_file_that_includes_a_header_with_a_message_adds_none() -> None:
    header = a("x", 7, "include/a.h")
    change = Change(touched=frozenset({"net/c.c"}), added=frozenset({"net/c.c"}))
    assert new(after({"net/a": (header,)}, {"net/c": (header,)}, change)) == []


def test_messages_without_a_place_count_by_unit() -> None:
    found = after({"LD a": (a("x", None, ""),)}, {"LD a": (a("x", None, ""),), "LD b": (a("x", None, ""),)})
    assert (found.before, found.after, len(found.new)) == (1, 2, 1)


def test_a_renamed_file_takes_its_messages_along() -> None:
    change = Change(
        frozenset({"net/a.c", "net/b.c"}), deleted=frozenset({"net/a.c"}), renamed={"net/a.c": "net/b.c"}
    )  # fmt: skip
    found = after({"net/a": (a("x"),)}, {"net/b": (a("x", 3, "net/b.c"), a("y", 4, "net/b.c"))}, change)
    assert (found.before, found.after, new(found)) == (1, 2, [("y", 4)])


def test_a_deleted_unit_says_nothing_any_more() -> None:
    change = Change(frozenset({"net/a.c"}), deleted=frozenset({"net/a.c"}))
    now = stand(Standing({"net/a": (a("x"),), "net/b": ()}), Log({}), True, (), change)
    assert set(now.units) == {"net/b"}


def test_what_make_itself_says_holds_for_one_build() -> None:
    now = stand(Standing({"": (a("No rule", None, ""),)}, built=False), Log({}), True, (), NOTHING)
    assert not any(now.units.values())


def test_a_build_that_breaks_what_the_base_builds_fails() -> None:
    assert after({"net/a": ()}, {"net/a": (a("x"),)}, built=False).breaks
    assert after({"net/a": ()}, {}, built=False, parent_built=False).breaks
    assert not after({"net/a": (a("x"),)}, {"net/a": (a("x"),)}, built=False, base_built=False).breaks


def test_of_a_broken_base_units_that_it_never_came_to_are_no_news() -> None:
    log = {"net/a": (a("x"),), "net/late": (a("y", 1, "net/late.c"),)}
    assert new(after({"net/a": (a("x"),)}, log, base_built=False)) == []
    brings = Change(frozenset({"net/late.c"}), added=frozenset({"net/late.c"}))
    assert new(after({"net/a": (a("x"),)}, log, brings, base_built=False)) == [("y", 1)]


def test_an_old_message_of_a_changed_header_is_not_counted_twice_when_a_build_breaks_off() -> None:
    old, moved = a("x", 7, "include/a.h"), a("x", 9, "include/a.h")
    change = Change(frozenset({"include/a.h"}))
    found = after({"net/a": (old,), "net/b": (old,)}, {"net/a": (moved,)}, change, built=False)
    assert new(found) == []


def test_what_a_unit_that_fails_does_not_come_to_say_is_not_new_when_it_builds_again() -> None:
    first = Standing({"net/a": (a("x", 3), a("address spaces", 4))})
    broken = stand(first, Log({"net/a": (a("x", 3), a("expected ;", 9))}, frozenset({"net/a"})), False, (), NOTHING)
    log = Log({"net/a": (a("x", 3), a("address spaces", 4), a("y", 8))})
    found = compare(first, broken, stand(broken, log, True, (), NOTHING), log, NOTHING)
    assert new(found) == [("y", 8)]
    assert (found.before, found.after) == (2, 3)


def test_products_that_git_does_not_ignore_are_told_once() -> None:
    found = after({}, {}, products=(frozenset({"x"}), frozenset({"x", "y"})))
    assert (found.untracked_before, found.untracked, found.fresh) == (1, 2, ("y",))


def test_which_changes_touch_the_configuration() -> None:
    for path in (
        "Kconfig",
        "net/Kconfig",
        "lib/Kconfig.debug",
        "arch/x86/configs/tiny.config",
        "kernel/configs/x.config",
    ):
        assert Change(frozenset({path})).configures
    assert not Change(frozenset({"net/Kconfig.c/x.c", "net/a.c", "Makefile"})).configures
