"""The text of a small kernel-like tree: tables in C, and selftests that compute from them.

A topic (``pacing``) is a table of classes in a C file, a total in a header, a page of documentation and a
selftest. The selftest reads what the build took out of the sources, so that a patch that breaks the table's
rule breaks the test. Pure: a seed in, text out. Nothing here is taken from the kernel but the layout and the
names of make's words.
"""

import random
from dataclasses import dataclass, replace

NAMES = ("pacing", "shaper", "fastpath", "steer", "coalesce", "meter", "burstq", "lanes", "relay", "window")
SUFFIXES = ("limits", "classes", "table", "budget", "rules")
ROWS = ("rx", "tx", "ctl", "bulk", "voice", "video", "mgmt", "sync")
PLACES = ("net/core", "net/ipv4", "net/sched", "drivers/net")


@dataclass(frozen=True, slots=True)
class Row:
    """One class of a table. A sound row has ``burst <= budget``."""

    name: str
    burst: int
    budget: int


@dataclass(frozen=True, slots=True)
class Topic:
    """A table and where it lives. A sound table's budgets sum up to no more than `total`."""

    name: str
    place: str
    suffix: str
    rows: tuple[Row, ...]
    total: int
    settle: int = 20
    checks_floor: bool = False
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        return f"{self.place}/{self.name}.c"

    @property
    def header(self) -> str:
        return f"include/net/{self.name}.h"

    @property
    def page(self) -> str:
        return f"Documentation/networking/{self.name}.rst"

    @property
    def program(self) -> str:
        return f"{self.name}_{self.suffix}." + ("py" if self.suffix == "budget" else "sh")

    @property
    def script(self) -> str:
        return f"tools/testing/selftests/net/{self.program}"

    def with_row(self, row: Row) -> "Topic":
        return replace(self, rows=(*self.rows, row))

    def with_changed(self, at: int, row: Row) -> "Topic":
        return replace(self, rows=(*self.rows[:at], row, *self.rows[at + 1 :]))

    def files(self) -> dict[str, str]:
        return {
            self.source: _source(self),
            self.header: _header(self),
            self.page: _page(self),
            self.script: _program(self),
        }


def topics(seed: int) -> tuple[Topic, ...]:
    """Four topics; which, where, and with what numbers is the seed's doing. The last is tested in Python."""
    chance = random.Random(f"topics {seed}")
    names = chance.sample(NAMES, 4)
    suffixes = [*chance.sample([s for s in SUFFIXES if s != "budget"], 3), "budget"]
    return tuple(_topic(chance, name, suffix) for name, suffix in zip(names, suffixes, strict=True))


def _topic(chance: random.Random, name: str, suffix: str) -> Topic:
    rows = []
    for row in chance.sample(ROWS, chance.randint(3, 5)):
        burst = chance.choice((4, 8, 12, 16))
        rows.append(Row(row, burst, burst * chance.randint(2, 6)))
    total = sum(row.budget for row in rows) + 128
    return Topic(name, chance.choice(PLACES), suffix, tuple(rows), total)


def tree(seed: int) -> dict[str, str]:
    """All files of the tree's first commit."""
    made = topics(seed)
    files = dict(_FIXED)
    for topic in made:
        files |= topic.files()
    files["MAINTAINERS"] = _maintainers(made)
    files["tools/testing/selftests/net/Makefile"] = _net_makefile(made)
    return files


def programs(seed: int) -> tuple[str, ...]:
    """The selftests, as the list of an installation names them."""
    return (*(topic.program for topic in topics(seed)), "wants_hardware.sh")


def _source(topic: Topic) -> str:
    name = topic.name
    rows = "".join(f'\t{{ .name = "{r.name}", .burst = {r.burst}, .budget = {r.budget} }},\n' for r in topic.rows)
    return f"""// SPDX-License-Identifier: GPL-2.0
/*
 * {name}: classes and what each of them may take.
 */

#include <net/{name}.h>

static const struct {name}_class {name}_classes[] = {{
{rows}}};

/* Milliseconds until a link that has come up carries the first class. */
static const int {name}_settle_ms = {topic.settle};

int {name}_budget(int index)
{{
\tif (index < 0 || index >= {name.upper()}_CLASSES)
\t\treturn -1;

\treturn {name}_classes[index].budget;
}}

int {name}_settled(int ms)
{{
\treturn ms >= {name}_settle_ms;
}}
"""


def _header(topic: Topic) -> str:
    name = topic.name
    guard = f"_NET_{name.upper()}_H"
    return f"""/* SPDX-License-Identifier: GPL-2.0 */
#ifndef {guard}
#define {guard}

/* What all classes may take together. */
#define {name.upper()}_TOTAL {topic.total}
#define {name.upper()}_CLASSES {len(topic.rows)}

struct {name}_class {{
\tconst char *name;
\tint burst;
\tint budget;
}};

int {name}_budget(int index);
int {name}_settled(int ms);

#endif /* {guard} */
"""


def _page(topic: Topic) -> str:
    title = f"The {topic.name} classes"
    notes = "".join(f"\n{note}\n" for note in topic.notes)
    return f"""{title}
{"=" * len(title)}

Each class has a burst and a budget. A burst never exceeds its budget, and the
budgets of all classes together stay within the total of the header.
{notes}"""


def _maintainers(made: tuple[Topic, ...]) -> str:
    parts = ["List of maintainers\n===================\n"]
    for topic in sorted(made, key=lambda t: t.name):
        parts.append(
            f"\n{topic.name.upper()} CLASSES\nM:\tNora Netdev <nora@netdev.example>\n"
            f"L:\tnetdev@vger.practice.example\nS:\tMaintained\nF:\t{topic.source}\nF:\t{topic.header}\n"
        )
    return "".join(parts)


def _net_makefile(made: tuple[Topic, ...]) -> str:
    progs = "".join(f"TEST_PROGS += {topic.program}\n" for topic in made)
    tables = "".join(f"TEST_GEN_FILES += {topic.name}.tbl\n" for topic in made)
    rules = "".join(
        f"\n$(OUTPUT)/{t.name}.tbl: $(top_srcdir)/{t.source} $(top_srcdir)/{t.header}\n\tsh take_table.sh $^ > $@\n"
        for t in made
    )
    return f"""# SPDX-License-Identifier: GPL-2.0
TEST_PROGS := wants_hardware.sh
{progs}TEST_FILES := ktap.sh
{tables}
include ../lib.mk
{rules}"""


def _program(topic: Topic) -> str:
    template = _PYTHON if topic.program.endswith(".py") else _SHELL
    floor = _FLOOR if topic.checks_floor and template is _SHELL else ""
    text = template.replace("@FLOOR@", floor).replace("@MORE@", " + 1" if floor else "")
    return text.replace("@NAME@", topic.name).replace("@TOTAL@", f"{topic.name.upper()}_TOTAL")


_SHELL = """#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The @NAME@ classes keep their rules.

. ./ktap.sh

table=./@NAME@.tbl
total=$(value_of @TOTAL@ "$table")
settle=$(value_of @NAME@_settle_ms "$table")
sum=0

ktap_begin $(($(grep -c '^row ' "$table") + 2@MORE@))

while read -r kind name burst budget; do
	[ "$kind" = row ] || continue
	sum=$((sum + budget))
	ktap_case "$name keeps its burst within its budget" [ "$burst" -le "$budget" ]
done < "$table"

ktap_case "all classes fit the total" [ "$sum" -le "$total" ]
@FLOOR@
# Nobody waits longer than 100 ms for a link. One that needs more is up by the
# time a runner tries again, and the runner says so.
ready() {
	[ "$settle" -le 100 ] || [ "${NETCI_ATTEMPT:-0}" -gt 0 ]
}
echo "# the link settles in $settle ms"
ktap_case "the link settles in time" ready

ktap_end
"""

_FLOOR = """
no_class_starves() {
	! grep -q '^row [a-z]* [01] ' "$table"
}
ktap_case "no class starves" no_class_starves
"""

_PYTHON = '''#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The @NAME@ classes keep their rules, class by class."""

import sys

rows, values = [], {}
with open("@NAME@.tbl") as table:
    for line in table:
        kind, *words = line.split()
        if kind == "row":
            rows.append((words[0], int(words[1]), int(words[2])))
        else:
            values[words[0]] = int(words[1])

failed = 0


def say(number, good, text, indent=""):
    global failed
    failed += not good
    print(f"{indent}{'ok' if good else 'not ok'} {number} {text}")
    return good


print("KTAP version 1")
print(f"1..{len(rows) + 1}")
for number, (name, burst, budget) in enumerate(rows, 1):
    print("  KTAP version 1")
    print("  1..2")
    first = say(1, burst <= budget, "burst", "  ")
    second = say(2, budget > 0, "budget", "  ")
    say(number, first and second, name)
total = sum(budget for _, _, budget in rows)
print(f"# {total} of {values['@TOTAL@']} are given away")
say(len(rows) + 1, total <= values["@TOTAL@"], "total")
sys.exit(1 if failed else 0)
'''

_KTAP = """# SPDX-License-Identifier: GPL-2.0
# Words for tests that speak KTAP. To be sourced.

count=0 good=0 bad=0

value_of() {
	sed -n "s/^value $1 //p" "$2"
}

ktap_begin() {
	echo "KTAP version 1"
	echo "1..$1"
}

ktap_case() {
	title=$1
	shift
	count=$((count + 1))
	if "$@"; then
		good=$((good + 1))
		echo "ok $count $title"
	else
		bad=$((bad + 1))
		echo "not ok $count $title"
	fi
}

ktap_end() {
	echo "# Totals: pass:$good fail:$bad xfail:0 xpass:0 skip:0 error:0"
	[ "$bad" -eq 0 ]
	exit
}
"""

_TAKE_TABLE = r"""#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Print the classes and the numbers of the sources named.

sed -n \
	-e 's/.*{ \.name = "\([a-z]*\)", \.burst = \([0-9]*\), \.budget = \([0-9]*\) }.*/row \1 \2 \3/p' \
	-e 's/^#define \([A-Z_]*\) \([0-9]*\)$/value \1 \2/p' \
	-e 's/^static const int \([a-z_]*\) = \([0-9]*\);$/value \1 \2/p' \
	"$@"
"""

_LIB_MK = """# SPDX-License-Identifier: GPL-2.0
# What every folder of tests has in common. OUTPUT is where things are built.

OUTPUT ?= $(CURDIR)
top_srcdir := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../../..)
BUILT := $(addprefix $(OUTPUT)/,$(TEST_GEN_PROGS) $(TEST_GEN_FILES))

.DEFAULT_GOAL := all

all: $(BUILT)

install: all
\tmkdir -p $(INSTALL_PATH)
\tcp -p $(TEST_PROGS) $(TEST_FILES) $(BUILT) $(wildcard settings) $(INSTALL_PATH)/

emit_tests:
\t@for test in $(TEST_GEN_PROGS) $(TEST_PROGS); do echo "$(COLLECTION):$$test"; done

clean:
\trm -f $(BUILT)

.PHONY: all install emit_tests clean
"""

_SELFTESTS_MAKEFILE = """# SPDX-License-Identifier: GPL-2.0
TARGETS ?= net
INSTALL_PATH ?= $(CURDIR)/kselftest_install
LIST := $(INSTALL_PATH)/kselftest-list.txt

all:
\tset -e; for target in $(TARGETS); do $(MAKE) -C $$target OUTPUT=$(CURDIR)/$$target all; done

install: all
\tmkdir -p $(INSTALL_PATH)
\trm -f $(LIST)
\tset -e; for target in $(TARGETS); do \\
\t\t$(MAKE) -C $$target OUTPUT=$(CURDIR)/$$target INSTALL_PATH=$(INSTALL_PATH)/$$target install; \\
\t\t$(MAKE) -s --no-print-directory -C $$target COLLECTION=$$target emit_tests >> $(LIST); \\
\tdone

.PHONY: all install
"""

_WANTS_HARDWARE = """#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A port that loops back to itself is needed for this one.

if [ ! -e /sys/class/net/practice-loop0 ]; then
	echo "1..0 # SKIP there is no practice-loop0"
	exit 4
fi

echo "KTAP version 1"
echo "1..1"
echo "ok 1 the loop carries frames"
"""

_FIXED = {
    "Makefile": "# SPDX-License-Identifier: GPL-2.0\nVERSION = 6\nPATCHLEVEL = 18\nSUBLEVEL = 0\nEXTRAVERSION =\n",
    "README": "A small tree to practise on. It has the shape of a kernel and none of its code.\n",
    "COPYING": "SPDX-License-Identifier: GPL-2.0\n",
    "net/Makefile": "# SPDX-License-Identifier: GPL-2.0\nobj-y += core/ ipv4/ sched/\n",
    "net/core/dev.c": "// SPDX-License-Identifier: GPL-2.0\n\nint netdev_features(void)\n{\n\treturn 0;\n}\n",
    "drivers/net/loop.c": "// SPDX-License-Identifier: GPL-2.0\n\nint loop_xmit(int len)\n{\n\treturn len;\n}\n",
    "include/linux/netdevice.h": "/* SPDX-License-Identifier: GPL-2.0 */\nint netdev_features(void);\n",
    "Documentation/networking/index.rst": "Networking\n==========\n\nOne page for each table.\n",
    "tools/testing/selftests/Makefile": _SELFTESTS_MAKEFILE,
    "tools/testing/selftests/lib.mk": _LIB_MK,
    "tools/testing/selftests/net/settings": "timeout=60\n",
    "tools/testing/selftests/net/ktap.sh": _KTAP,
    "tools/testing/selftests/net/take_table.sh": _TAKE_TABLE,
    "tools/testing/selftests/net/wants_hardware.sh": _WANTS_HARDWARE,
}
