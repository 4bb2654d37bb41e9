"""What is built and how: a configuration, make's variables, targets. Pure: answers with command lines, runs none.

A recipe is configuration, so two checks or two projects with the same one share what was built of a base.
"""

import hashlib
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import AfterValidator

SOURCE, OBJECTS, GIVEN = "/src", "/obj", "/in"
"""Where the work tree, the object folder and what we give are inside a cage."""

_SYMBOL = re.compile(r'(CONFIG_)?([A-Za-z0-9_]+)(?:=([ymn]|-?\d+|0x[0-9A-Fa-f]+|"[^"\\\n]*"))?')
_TARGET = re.compile(r"[A-Za-z0-9_.+/-]*[A-Za-z0-9_/]")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")

FLAGS = ("-k", "--output-sync=target", "--no-print-directory")
"""Go on after an error, so that one cannot hide another; and keep what one recipe prints together."""

FIXED = {"KBUILD_BUILD_TIMESTAMP": "2000-01-01", "KBUILD_BUILD_USER": "netci", "KBUILD_BUILD_HOST": "netci"}
"""Or else objects differed with the hour and the machine."""


def _symbol(text: str) -> str:
    if not (found := _SYMBOL.fullmatch(text)):
        raise ValueError(f"{text!r}: not a symbol of the configuration, as FOO, FOO=m or FOO=12")
    return f"{found[2].upper()}={found[3] or 'y'}"


def _target(text: str) -> str:
    if not _TARGET.fullmatch(text) or text.startswith(("-", "/")) or ".." in text:
        raise ValueError(f"{text!r}: not a target of make, as drivers/net/ or modules")
    return text


def _variables(table: dict[str, str]) -> dict[str, str]:
    for name, value in table.items():
        if not _VARIABLE.fullmatch(name) or "\n" in value or "\0" in value:
            raise ValueError(f"{name!r}: not a variable of make, as W or LLVM")
    return table


Symbol = Annotated[str, AfterValidator(_symbol)]
Target = Annotated[str, AfterValidator(_target)]
Variables = Annotated[dict[str, str], AfterValidator(_variables)]


@dataclass(frozen=True, slots=True)
class Kconfig:
    """A kernel configuration: where it comes from, and what is set after that.

    `source` is a target of make (allmodconfig, tinyconfig, defconfig) or, with `text`, the name of a file that has
    that text. `symbols` are ``NAME=value``; n switches off. `required` must stand so in the end, or nothing is
    built and whoever asked is told.
    """

    source: str = "allmodconfig"
    symbols: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    text: str = ""

    @property
    def lines(self) -> str:
        """What is appended to .config; the last line on a symbol holds."""
        return "".join(_line(symbol) for symbol in self.symbols)

    def lacks(self, config: str) -> tuple[str, ...]:
        """The symbols that `config`, a whole .config, does not have as asked."""
        there = set(config.splitlines())
        return tuple(symbol for symbol in self.symbols if not _stands(symbol, there))

    def refuses(self, config: str) -> tuple[str, ...]:
        """Those of `required` that are not so."""
        there = set(config.splitlines())
        return tuple(symbol for symbol in self.required if not _stands(symbol, there))


def _line(symbol: str) -> str:
    name, _, value = symbol.partition("=")
    return f"# CONFIG_{name} is not set\n" if value == "n" else f"CONFIG_{name}={value}\n"


def _stands(symbol: str, lines: set[str]) -> bool:
    name, _, value = symbol.partition("=")
    if value == "n":
        # A symbol whose dependencies are off is not written at all: that is off as well.
        return not any(f"CONFIG_{name}={set_to}" in lines for set_to in "ym")
    return f"CONFIG_{name}={value}" in lines


@dataclass(frozen=True, slots=True)
class Step:
    """One call of make. `folder`: below the tree, for makefiles that are called there."""

    targets: tuple[str, ...] = ()
    folder: str = ""
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """A build. `variables` are make's, in order; `before` are targets that must work on the base, or there is no
    tool for this at all. `noise`: regular expressions; a message that one is found in is none. `products` is a
    folder of the object folder that mirrors one of the tree (`mirrors`): what a build leaves there and git would
    not ignore is told of. `seconds` may one build of a patch take, `base_seconds` one of the base.
    """

    name: str
    kconfig: Kconfig | None = None
    variables: tuple[tuple[str, str], ...] = ()
    before: tuple[str, ...] = ()
    steps: tuple[Step, ...] = (Step(),)
    noise: tuple[str, ...] = ()
    products: str = ""
    mirrors: str = ""
    seconds: float = 3600.0
    base_seconds: float = 6 * 3600.0

    @property
    def digest(self) -> str:
        """Names what an object folder depends on; limits, name and noise are not part of it."""
        facts = asdict(self)
        for key in ("name", "noise", "seconds", "base_seconds"):
            del facts[key]
        return hashlib.sha256(repr(sorted(facts.items())).encode()).hexdigest()

    def make(self, *targets: str, folder: str = "", more: tuple[tuple[str, str], ...] = ()) -> tuple[str, ...]:
        """The words of one call of make inside a cage."""
        place = f"{SOURCE}/{folder}" if folder else SOURCE
        given = [f"{key}={value}" for key, value in (*self.variables, *more)]
        return ("make", "-C", place, f"O={OBJECTS}", *given, *targets)

    def builds(self, jobs: int) -> Iterator[tuple[str, ...]]:
        """The calls that build."""
        for step in self.steps:
            words = self.make(*step.targets, folder=step.folder, more=step.variables)
            yield (*words[:3], f"-j{jobs}", *FLAGS, *words[3:])

    def repeat(self) -> str:
        """A shell command that does the same in a clone, in the folder ../obj beside it."""
        making = [self._shown(*step.targets, folder=step.folder, more=step.variables) for step in self.steps]
        return " && ".join([*self._configuring(), *making])

    def _configuring(self) -> list[str]:
        if self.kconfig is None:
            return []
        lines = []
        if self.kconfig.text:
            lines.append(f"mkdir -p ../obj && cp {shlex.quote(self.kconfig.source)} ../obj/.config")
        else:
            lines.append(self._shown(self.kconfig.source, jobs=False))
        if self.kconfig.symbols:
            lines.append("scripts/config --file ../obj/.config " + " ".join(map(_switch, self.kconfig.symbols)))
        return [*lines, self._shown("olddefconfig", jobs=False)]

    def _shown(self, *targets: str, folder: str = "", more: tuple[tuple[str, str], ...] = (), jobs: bool = True) -> str:
        words = ["make"] + (["-C", folder] if folder else [])
        words += ["O=$PWD/../obj"] + (["-j$(nproc)"] if jobs else [])
        words += [_given(key, value) for key, value in (*self.variables, *more)]
        return " ".join([*words, *targets])


def _given(key: str, value: str) -> str:
    """As an author has it: without ccache, and with his own object folder."""
    word = shlex.quote(f"{key}={value.removeprefix('ccache ')}")
    return word.replace(OBJECTS, "'\"$PWD\"'/../obj") if OBJECTS in word else word


def _switch(symbol: str) -> str:
    name, _, value = symbol.partition("=")
    short = {"y": "-e", "m": "-m", "n": "-d"}.get(value)
    if short:
        return f"{short} {name}"
    if value.startswith('"'):
        return f"--set-str {name} {shlex.quote(value[1:-1])}"
    return f"--set-val {name} {value}"


def variables(**given: str | Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """make's variables in order, empty ones left out; a mapping stands for all that is in it."""
    pairs: list[tuple[str, str]] = []
    for key, value in given.items():
        pairs += value.items() if isinstance(value, Mapping) else [(key, value)]
    return tuple((key, value) for key, value in pairs if value)
