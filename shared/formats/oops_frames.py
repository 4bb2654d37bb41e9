"""The functions of a kernel's report: read from the lines of its stacks, and which of them tell one crash from another.

Architectures and years print a frame each in their own way; a report symbolised by ``decode_stacktrace.sh`` in yet
another. The functions that only detect and print a crash are the same in all reports, and tell nothing.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

FRAMES = 5
"""Functions of a fingerprint; the number is NIPA's."""

_NAME = r"[A-Za-z_$][\w.$]{0,127}"
_AT = r"\+0x[0-9a-f]{1,8}/0x[0-9a-f]{1,8}"
_DECODED = r" \([^()\s]{1,160}:[0-9]{1,6}\b"
_FRAME = re.compile(
    rf" *(?:\(?\[?<?[0-9a-fptrval_()]{{4,22}}>?\]? +){{0,2}}(?P<unsure>\? )?"
    rf"(?:(?P<name>{_NAME})(?:{_AT}(?=[ )]|$)|{_DECODED})"
    # 32-bit ARM tells calls, not places.
    rf"|\(?(?P<callee>{_NAME})(?: \[\w{{1,64}}\])?\)? from (?:\[<[0-9a-f]{{8}}>\] )?\(?{_NAME}{_AT})"
)
_HERE = re.compile(
    r" *(?:(?:RIP|EIP): (?:[0-9a-f]{4}:)?(?:\[<[0-9a-f]{8,16}>\] {1,2}){0,2}|pc : |PC is at |epc : "
    r"|epc +: [0-9a-f]{8,16} |NIP \[[0-9a-f]{8,16}\] |ERA: [0-9a-f]{8,16} |TPC: <"
    r"|Krnl PSW : [0-9a-f]{16} [0-9a-f]{16} \()"
    rf"(?P<name>{_NAME})(?:{_AT}|{_DECODED})"
)
_SUFFIX = re.compile(r"\.(?:constprop|isra|part|cold|llvm|lto_priv|clone|localalias)(?:\.[0-9]+)*(?=\.|$)")
_BPF = re.compile(r"^bpf_prog_[0-9a-f]{16}")
_NIPA = re.compile(r"(?:^ +|.*?(?:  |0:|>\] ))([a-z0-9_]{1,128})\+0x[0-9a-f]{1,8}/0x[0-9a-f]")

_MACHINERY = re.compile(
    r"(?:__)?(?:dump_stack\w*|show_stack\w*|show_trace\w*|show_regs\w*|dump_backtrace|unwind_backtrace|print_\w*|show_\w*_lock"
    r"|\w*kasan_\w+|check_memory_region\w*|asan_\w+|hwasan_\w+|end_report|\w*kcsan_\w+|tsan_\w+|\w*kmsan_\w+|msan_\w+"
    r"|\w*kfence_\w+|ubsan_\w+|val_to_string|handle_overflow|warn|warn_\w+|report_bug|handle_bug|bug_handler|fixup_bug|die\w*"
    r"|oops_\w+|do_error_trap|do_trap|do_invalid_op|invalid_op|asm_exc_\w+|exc_\w+|page_fault\w*|bad_area\w*|no_context"
    r"|do_page_fault|do_user_addr_fault|do_kern_addr_fault|panic|vpanic|nmi_\w+|end_repeat_nmi|asm_\w*sysvec_\w+|sysvec_\w+"
    r"|watchdog_\w+|arch_trigger_\w+|trigger_\w+backtrace\w*|rcu_dump_\w+|rcu_check_gp_\w+|\w*rcu\w*_stall\w*|rcu_sched_clock_irq"
    r"|check_cpu_stall|check_noncircular|check_prevs?_add|check_deadlock|check_irq_usage|check_wait_context|validate_chain"
    r"|lock_acquire|lock_release|lock_acquired|lock_contended|lockdep_\w+|mark_lock\w*|mark_usage|valid_state|register_lock_class"
    r"|assign_lock_key|debug_check_no_\w+|might_sleep|_?might_\w+|schedule_bug|schedule|schedule_\w+|preempt_schedule\w*"
    r"|io_schedule\w*|context_switch|switch_to\w*|check_preemption_disabled|debug_smp_processor_id|refcount_\w+|list_add_valid\w*"
    r"|list_del_entry_valid\w*|list_add|list_del|list_del_entry|debug_object_\w+|debug_print_object|debug_check_\w+"
    r"|mutex_lock\w*|mutex_\w*slow\w*|rt_mutex_\w+|rtlock_\w+|rwsem_\w+|down(?:_read|_write|_killable|_interruptible)*"
    r"|_?raw_(?:spin|read|write)_\w*lock\w*|queued_\w*lock\w*|native_queued_\w+|do_raw_\w+|spin_bug|spin_dump|pv_\w*lock\w*"
    r"|wait_for_(?:common|completion\w*)|do_wait_for_common|percpu_down_\w+|kmem_cache_\w+|kmalloc\w*|do_kmalloc\w*|kzalloc\w*"
    r"|kcalloc\w*|kvmalloc\w*|kvzalloc|krealloc\w*|slab_\w+|object_err|free_debug_\w+|alloc_debug_\w+|check_object|check_slab"
    r"|k?v?free|kv?free_\w+|kvfree|free_pcp\w+|alloc_pages\w*|usleep_range\w*|msleep\w*|vmalloc\w*|kmemdup\w*|kstrdup\w*|bad_page\w*|bad_page|free_page_is_bad|check_\w*page\w*"
    r"|report_bad_irq|note_interrupt|usercopy_\w+|check_object_size|check_heap_object|fortify_panic|ref_tracker_\w+|kmemleak_\w+"
    r"|skb_panic|skb_(?:over|under)_panic|memcpy\w*|memset\w*|memmove\w*|strlen|strnlen|strcpy|stack_trace_\w+|stack_depot_\w+|do_undefinstr|do_DataAbort|dabt_svc\w*"
    r"|do_mem_abort|el1_\w+|el1h?_\w+|brk_handler|call_break_hook|do_debug_exception|die_kernel_fault|do_\w*_fault|rt_\w*lock\w*|poison_slab_object"
    r"|do_kernel_fault|do_sea|do_trap_\w+|handle_exception|sysrq_handle_crash|get_cpu_entry_area|restore_all|ret_from_\w+)"
)  # fmt: skip


def frame(text: str) -> tuple[str, bool] | None:
    """The function of a line of a stack, and whether the unwinder is sure of it."""
    found = _FRAME.match(text)
    if found is None:
        return None
    return found["name"] or found["callee"], found["unsure"] is None


def here(text: str) -> str:
    """The kernel's function at the instruction pointer that the line tells; "" for user space or another line."""
    found = _HERE.match(text)
    return found["name"] if found else ""


def nipa_frame(text: str) -> str:
    """The function, if NIPA's reader takes the line for a frame: it knows small letters only, and no suffix."""
    found = _NIPA.match(text)
    return found[1] if found else ""


def bare(name: str) -> str:
    """The function as its source has it, without what compilers append, or the hash of a BPF program."""
    return _BPF.sub("bpf_prog", _SUFFIX.sub("", name.partition("+")[0]))


def telling(names: Iterable[str]) -> Iterator[str]:
    """The functions that are not of the machinery, bare."""
    return (name for name in map(bare, names) if not _MACHINERY.fullmatch(name))


def nipa_form(names: Sequence[str], skips: Iterable[Sequence[str]] = ()) -> str:
    """NIPA's fingerprint: five functions joined by colons, one of the prefixes `skips` removed."""
    for skip in skips:
        if skip and list(names[: len(skip)]) == list(skip):
            names = names[len(skip) :]
            break
    return ":".join(names[:FRAMES])
