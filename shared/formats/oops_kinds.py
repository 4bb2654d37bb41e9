"""How the kernel begins to report trouble: a line for each kind, in the words of all its versions.

A table. `Opening.pattern` is matched at the beginning of what the kernel printed; titles are spelled as syzbot spells
them where it has a title, so that people find the same crash there.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What sort of trouble it is."""

    OOPS = "oops"
    BUG = "bug"
    WARNING = "warning"
    KASAN = "kasan"
    KCSAN = "kcsan"
    KMSAN = "kmsan"
    KFENCE = "kfence"
    UBSAN = "ubsan"
    CFI = "cfi"
    LOCKDEP = "lockdep"
    RCU_STALL = "rcu-stall"
    HUNG_TASK = "hung-task"
    SOFT_LOCKUP = "soft-lockup"
    HARD_LOCKUP = "hard-lockup"
    KMEMLEAK = "kmemleak"
    REFCOUNT = "refcount"
    REF_TRACKER = "ref-tracker"
    NETDEVICE = "netdevice"
    PANIC = "panic"
    ATOMIC = "atomic"
    LIST = "list"
    SLAB = "slab"
    PAGE = "page"
    IRQ = "irq"
    DUMP = "dump"
    MEMORY = "memory"
    NOTE = "note"


NOTES = {
    Kind.MEMORY: "the machine was short of memory, and the kernel coped",
    Kind.NOTE: "the kernel tells, and accuses nobody",
}
"""Kinds that are told but are no crash, and why."""


@dataclass(frozen=True, slots=True)
class Opening:
    """`title` is filled from the pattern's groups; the function where it happened follows after " in " if `where`.

    Where the kernel goes on to tell the same crash in other words, with its place, `joins` has the kinds of those.
    `sure` openings are believed only on a line that the kernel has stamped. After a `fatal` one nothing runs any more.
    """

    kind: Kind
    pattern: re.Pattern[str]
    title: str
    where: bool = True
    joins: frozenset[Kind] = frozenset()
    sure: bool = False
    fatal: bool = False


_SRC = r"(?P<source>[^\s:]{1,200}:[0-9]{1,7})"
_FUNC = r"(?P<func>[A-Za-z_$][\w.$]{0,127})(?:\+0x[0-9a-f]+/0x[0-9a-f]+| \([^()\s]{1,160}\))?"
_N = "[0-9]{1,10}"
_WATCHDOG = r"(?:(?:NMI )?watchdog: )?"
_LOCKDEP = r"(?:WARNING: |\[ (?:INFO|BUG): )"
_DIE = r"(?:Oops: )?(?:Oops: )?"
_OOPS = frozenset({Kind.OOPS, Kind.BUG})
_ALSO = frozenset({Kind.OOPS, Kind.BUG, Kind.WARNING})
_NO_KINDS: frozenset[Kind] = frozenset()


def _opening(
    kind: Kind, pattern: str, title: str, where: bool = True, joins: frozenset[Kind] = _NO_KINDS, **more: bool
) -> Opening:
    return Opening(kind, re.compile(pattern), title, where, joins, **more)


CUT_HERE = _opening(Kind.WARNING, r"-{6,20}\[ cut here \]-{6,20}|8<--- cut here ---", "", joins=frozenset(Kind))
"""What follows says what it is."""
BACKTRACE = _opening(Kind.NOTE, r"NMI backtrace for cpu", "NMI backtrace")
"""Where a CPU is, told because somebody asked."""

OPENINGS: tuple[Opening, ...] = (
    CUT_HERE,
    # The sanitizers.
    _opening(Kind.KASAN, rf"BUG: KASAN: (?P<what>[\w -]{{1,60}}?) in (?:{_FUNC}|\S)", "KASAN: {what}"),
    _opening(Kind.KCSAN, r"BUG: KCSAN: (?P<what>[\w: -]{1,40}?) in "
             r"(?P<both>[\w.$]{1,128}(?:\+0x[0-9a-f/x]+)?(?: / [\w.$]{1,128})?)", "KCSAN: {what}"),
    _opening(Kind.KMSAN, rf"BUG: KMSAN: (?P<what>[\w -]{{1,60}}?) in {_FUNC}", "KMSAN: {what}"),
    _opening(Kind.KFENCE, rf"BUG: KFENCE: (?P<what>[\w -]{{1,60}}?) in (?:{_FUNC}|\S)", "KFENCE: {what}"),
    _opening(Kind.UBSAN, rf"UBSAN: (?P<what>[\w -]{{1,80}}?) in {_SRC}", "UBSAN: {what}"),
    _opening(Kind.CFI, rf"CFI failure (?:at|\(target:) ?{_FUNC}", "CFI failure", joins=_ALSO),
    # A fault, in the words of each architecture.
    _opening(Kind.OOPS, r"(?:BUG: )?(?:[Uu]nable to handle )?[Kk]ernel NULL pointer dereference\b",
             "BUG: unable to handle kernel NULL pointer dereference", joins=_OOPS),
    _opening(Kind.OOPS, r"(?:BUG: )?[Uu]nable to handle (?:page fault|kernel (?:paging request|pointer dereference"
             r"|(?:data|instruction) (?:access|fetch)))",
             "BUG: unable to handle kernel paging request", joins=_OOPS),
    _opening(Kind.OOPS, r"Unable to handle kernel (?P<what>(?:access to|read from|write to|execute from|execution of) "
             r"[\w -]{1,60}?)(?: at virtual address|$)", "unable to handle kernel {what}", joins=_OOPS),
    _opening(Kind.OOPS, rf"{_DIE}general protection fault(?:, | maybe |:)", "general protection fault", joins=_OOPS),
    _opening(Kind.OOPS, rf"{_DIE}(?P<what>invalid opcode|divide error|stack segment|double fault|int3|bounds"
             r"|alignment check|control protection fault|segment not present|invalid TSS|SIMD exception"
             r"|x87 FPU exception|debug|machine check): ?[0-9a-f]{4} \[#", "{what}", joins=_OOPS),
    _opening(Kind.OOPS, r"(?:traps: )?PANIC: (?P<what>double fault)", "{what}", joins=_OOPS, fatal=True),
    _opening(Kind.OOPS, r"(?:BUG: (?:\w{1,20} )?stack guard page was hit|kernel stack overflow"
             r"|Insufficient stack space to handle exception)",
             "kernel stack overflow", joins=_OOPS),
    _opening(Kind.BUG, rf"[Kk]ernel BUG at {_SRC}!", "kernel BUG", joins=_OOPS),
    _opening(Kind.BUG, rf"BUG: failure at {_SRC}/(?P<func>\w{{1,128}})\(\)!", "kernel BUG"),
    _opening(Kind.OOPS, r"Internal error: (?!Oops)(?P<what>[\w :-]{1,60}?)(?:: | )[0-9a-f]{1,16} \[#",
             "Internal error: {what}"),
    _opening(Kind.OOPS, r"(?:Internal error: )?Oops\b[^\[]{0,80}\[#", "Oops"),
    _opening(Kind.OOPS, r"SError Interrupt on CPU|Bad mode in [\w ]{1,40} handler detected", "SError"),
    # Broken data, found by a check that then warns or gives up.
    _opening(Kind.LIST, r"(?:__)?(?P<what>list_(?:add|del)) corruption", "{what} corruption", joins=_ALSO),
    _opening(Kind.PAGE, r"usercopy: Kernel memory (?P<what>exposure|overwrite) attempt detected",
             "usercopy: kernel memory {what}", joins=_ALSO),
    _opening(Kind.REFCOUNT, r"refcount_t: (?!.*\bselftest)", "WARNING: refcount bug", joins=_ALSO),
    _opening(Kind.WARNING, r"ODEBUG: \w{1,40} (?:active|not available|destroyed|free|not )", "WARNING: ODEBUG bug",
             joins=_ALSO),
    _opening(Kind.SLAB, r"BUG (?P<cache>\S{1,64}) \((?:Not tainted|Tainted: [^)]{1,80})\): "
             r"(?P<what>[A-Za-z][A-Za-z /-]{0,59})", "BUG {cache}: {what}", where=False),
    _opening(Kind.SLAB, r"Slab corruption\b", "Slab corruption", where=False),
    _opening(Kind.PAGE, r"BUG: Bad page (?P<what>state|map|cache)\b", "BUG: Bad page {what}"),
    _opening(Kind.PAGE, r"BUG: (?P<what>Bad rss-counter state|non-zero pgtables_bytes on freeing mm)", "BUG: {what}",
             where=False),
    # Warnings.
    _opening(Kind.WARNING, rf"WARNING: CPU: {_N} PID: {_N} at (?:{_SRC} ?)?(?:{_FUNC})?", "WARNING"),
    _opening(Kind.WARNING, rf"WARNING: (?:at )?{_SRC} (?:at )?{_FUNC}", "WARNING"),
    # Locks.
    _opening(Kind.LOCKDEP, rf"{_LOCKDEP}possible circular locking dependency detected", "possible deadlock"),
    _opening(Kind.LOCKDEP, rf"{_LOCKDEP}circular locking deadlock detected", "deadlock"),
    _opening(Kind.LOCKDEP, rf"{_LOCKDEP}possible recursive locking detected", "possible recursive locking"),
    _opening(Kind.LOCKDEP, rf"{_LOCKDEP}possible irq lock inversion dependency detected",
             "possible irq lock inversion"),
    _opening(Kind.LOCKDEP, rf"{_LOCKDEP}(?P<what>[A-Z_]{{1,30}}-safe -> [A-Z_]{{1,30}}-unsafe lock order) detected",
             "{what}"),
    _opening(Kind.LOCKDEP, rf"{_LOCKDEP}(?P<what>inconsistent lock state|suspicious RCU usage|bad unlock balance"
             r"|bad contention|held lock freed|lock held when returning to user space|Nested lock was not taken"
             r"|chain_key collision|Invalid wait context)\b", "{what}"),
    _opening(Kind.LOCKDEP, rf"{_LOCKDEP}[^/]{{1,64}}/{_N} (?P<what>still has locks held)!", "{what}"),
    _opening(Kind.LOCKDEP, r"INFO: (?P<what>trying to register non-static key)", "INFO: {what}"),
    _opening(Kind.LOCKDEP, r"BUG: (?P<what>looking up invalid subclass|key \S{1,40} (?:not in|has not been registered)"
             r"|MAX_LOCK\w{1,40} too low)", "BUG: {what}", where=False),
    _opening(Kind.LOCKDEP, rf"BUG: (?P<what>(?:spinlock|rwlock) [a-z ]{{1,30}}) on CPU#{_N}", "BUG: {what}"),
    # Nothing goes on.
    _opening(Kind.RCU_STALL, r"(?:rcu\w{0,20}: )?INFO: rcu\w{0,30} (?:self-detected stall"
             r"|detected (?:expedited )?stalls?)\b", "INFO: rcu detected stall"),
    _opening(Kind.HUNG_TASK, rf"INFO: task .{{1,64}}:{_N} blocked (?:in I/O wait )?for more than {_N} seconds",
             "INFO: task hung"),
    _opening(Kind.SOFT_LOCKUP, rf"{_WATCHDOG}BUG: soft lockup - CPU#{_N}", "BUG: soft lockup"),
    _opening(Kind.SOFT_LOCKUP, r"BUG: workqueue lockup - pool", "BUG: workqueue lockup", where=False),
    _opening(Kind.HARD_LOCKUP, rf"{_WATCHDOG}(?:CPU{_N}: )?Watchdog detected hard LOCKUP on cpu", "hard LOCKUP"),
    # Something is still held.
    _opening(Kind.KMEMLEAK, r"(?:kmemleak: )?unreferenced (?:percpu )?object 0x[0-9a-f]{6,16} \(size", "memory leak"),
    _opening(Kind.REF_TRACKER, r"ref_tracker: .{0,120}?(?:has [0-9]+/[0-9]+ users at|leaked reference)",
             "ref_tracker: reference leaked"),
    _opening(Kind.REF_TRACKER, r"ref_tracker: .{0,120}?reference already released",
             "ref_tracker: reference already released"),
    _opening(Kind.NETDEVICE, r"unregister_netdevice: waiting for .{1,64} to become free",
             "unregister_netdevice: waiting for DEV to become free", where=False),
    # What may not be done here.
    _opening(Kind.ATOMIC, rf"BUG: sleeping function called from invalid context(?: at {_SRC})?",
             "BUG: sleeping function called from invalid context"),
    _opening(Kind.ATOMIC, r"BUG: scheduling (?:while atomic|in a non-blocking section)"
             r"|bad: scheduling from the idle thread", "BUG: scheduling while atomic"),
    _opening(Kind.ATOMIC, r"BUG: using (?P<what>\w{1,40}\(\)) in preemptible", "BUG: using {what} in preemptible code"),
    _opening(Kind.ATOMIC, r"BUG: workqueue leaked (?:lock|atomic)", "BUG: workqueue leaked lock or atomic",
             where=False),
    # The end, and the rest.
    _opening(Kind.PANIC, r"Kernel panic - not syncing: ?(?P<what>.{0,120})", "Kernel panic - not syncing: {what}",
             where=False, fatal=True),
    _opening(Kind.IRQ, rf"irq {_N}: nobody cared", "irq N: nobody cared", where=False),
    _opening(Kind.MEMORY, r".{1,64}: (?:page allocation (?:failure|stalls)|vmalloc error)\b",
             "page allocation failure"),
    _opening(Kind.NOTE, r"FAULT_INJECTION: forcing a failure", "a failure that was asked for", where=False),
    _opening(Kind.MEMORY, r".{1,64} invoked oom-killer: ", "out of memory", where=False),
    _opening(Kind.NOTE, r"kmemleak: [0-9]+ new suspected memory leaks", "kmemleak: new suspected memory leaks",
             where=False),
    BACKTRACE,
    _opening(Kind.DUMP, rf"CPU: {_N} (?:UID: {_N} )?PID: {_N} Comm: ", "stack dump"),
    _opening(Kind.BUG, r"BUG: (?!unable to handle)(?P<what>.{1,120})", "BUG: {what}", sure=True, where=False),
)  # fmt: skip

_NAMED = re.compile(r"\(\?P<\w+>")
_ALL = re.compile("|".join(f"(?P<o{n}>{_NAMED.sub('(?:', o.pattern.pattern)})" for n, o in enumerate(OPENINGS)))


def opening(text: str, stamped: bool) -> tuple[Opening, dict[str, str]] | None:
    """The opening that `text` is, with what its pattern's groups found."""
    found = _ALL.match(text)
    if found is None or found.lastgroup is None:
        return None
    one = OPENINGS[int(found.lastgroup[1:])]
    match = one.pattern.match(text)
    if match is None or (one.sure and not stamped):
        return None
    return one, {key: value for key, value in match.groupdict().items() if value}
