"""The lines inside a kernel's report: which are of one at all, where a stack begins, where the whole thing ends.

Tables of words, matched at the beginning of a line without its prefix. They bound all that they repeat: a console is
hostile.
"""

import re

STACK = re.compile(r"Call [Tt]race:|stack backtrace:")
"""A stack begins."""

NEXT_STACK = re.compile(
    r"(?:Allocated|Freed) by\b|(?:Last|Second to last) potentially|Uninit was|Local variable|Showing all locks|kfence-#"
    r"|(?:\w{1,20}(?:-\w{1,20})? ){0,3}(?:read|write)(?: \(marked\))? to 0x|NMI backtrace for|Sending NMI|CPU: [0-9]+ "
    r"|Kernel panic|Kernel Offset|Last Breaking-Event|allocated in:|freed in:|Preemption disabled at|Reported by Kernel"
)
"""After the stack of the crash: somebody else's follows, if any."""

OTHER_STACK = re.compile(r"(?:rcu: )?(?:RCU grace-period kthread stack|Stack dump where RCU)")
"""What follows is never the stack of the crash."""

FATAL = re.compile(
    r"Kernel panic - not syncing|---\[ end Kernel panic|Fixing recursive fault but reboot is needed"
    r"|Rebooting in [0-9]{1,9} seconds"
)
"""The machine says that it stops."""

ACCESS = re.compile(r"(Read|Write|Free) of (?:size [0-9]{1,9} at )?addr")

_SYMBOL = r"(?:\[<[0-9a-f]{8,16}>\] )?([A-Za-z_$][\w.$]{0,127})"
LOCK_AT = re.compile(
    r" *\[?<?[0-9a-f]{0,16}>?\]? *\(.{1,200}\)\{.{1,16}\}(?:-\{[0-9:]{1,9}\})?, at: "
    + _SYMBOL
    + r"|caller is "
    + _SYMBOL
)
"""Who takes the lock, or does what may not be done here."""

NIPA_BEGIN = re.compile(r"Hardware name: |ref_tracker: |.{0,200} blocked for more than |unreferenced object 0x")
"""NIPA looks for functions from here on."""
NIPA_END = ("---[ end trace ", " </TASK>")

BODY = re.compile(
    # Registers and what surrounds them.
    r" *(?:[REL]?[A-Z0-9_ ]{2,9}: ?(?:[0-9a-f]{4}:)?[0-9a-fx(]{4}|[xXrR][0-9]{1,2} ?: ?[0-9a-f]{4}"
    r"|(?:pc|lr|sp|epc|pstate|ra|gp) ?: |R?IP: |CR2|Code:|CPU: |Hardware name|Modules linked|Workqueue:|Oops|#PF: |PGD "
    r"|Mem abort|Data abort|(?:ESR|EC|SET|EA|FSC|ISV|CM|GCS) |user pgtable|swapper pgtable|\[[0-9a-f]{16}\] "
    r"|Internal error|KASAN: |note: |invoked|task:|Not tainted|Tainted|\"echo 0"
    # Stacks and their ends.
    r"|Call [Tt]race|</?[#A-Z]{2,8}>|stack backtrace|backtrace|NMI backtrace|Sending NMI|---\[|=====|-----|rcu: "
    r"|Kernel panic|Kernel Offset|Rebooting|SMP: stopping|Fixing recursive|handlers:|Disabling IRQ|Preemption disabled"
    # Memory: whose it was, what is in it.
    r"|Read of |Write of |(?:Allocated|Freed) by|The buggy|which belongs|allocated [0-9]|page:|page dumped|raw: |head:"
    r"|flags: |Memory (?:state|access)|[ >]{0,4}[0-9a-f]{8,16}: |\^|[0-9a-f]{16} \(|hex dump|comm \"|kfence-#|Uninit "
    r"|Local variable|Bytes |Object |Redzone |Padding |Slab 0x|FIX |read to|write to|value changed|Reported by"
    r"|index |shift |member |load "
    # Locks.
    r"|other info|[0-9]{1,4} locks? held|no locks held|#[0-9]{1,4}: |-> #[0-9]|but |which |is trying|the existing"
    r"|Possible unsafe|\*\*\*|may be due|CPU[0-9]|---- |lock\(|<Interrupt>|in_atomic|preempt_count|RCU nest"
    r"|irq event|hardirqs|softirqs|caller is|lock: |\.magic)"
)
"""Of a report, most likely: nobody minds a line too many, as it makes no title."""
