"""A spec written from facts: as long and as full of macros as real ones, and rpm reads the same facts out of it.

The words are drawn by a generator that is seeded with the spec's name, so that the same facts give the same bytes.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bench.facts import DIST, Binary, Spec
from bench.spec_words import (
    BUILD,
    CHECK,
    FILES,
    GROUPS,
    INSTALL,
    KINDS,
    MAINTAINERS,
    PLACES,
    WORDS,
    patch_text,
    sentence,
    shell_line,
)  # fmt: skip

BASE_TIME = 1745800000  # shortly before the first of the real commits
_MACRO = re.compile(r"%\{([^{}]+)\}")
_NUMBER = re.compile(r"\d+(?=\D*\Z)")
_MODULE = re.compile(r"(?P<own>\d+)_(?P<version>[0-9.]+)\.(?P<release>\d+)\Z")


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a changelog."""

    time: int
    evr: str
    text: str


@dataclass(frozen=True, slots=True)
class State:
    """What commits change of a spec: its version, its release without dist tag, its patches and its changelog."""

    version: str
    release: str
    patches: tuple[str, ...]
    changes: tuple[Change, ...]

    def patched(self, when: int, draw: random.Random) -> State:
        """One patch and one release more: what a security fix looks like."""
        cve = f"CVE-{time.gmtime(when).tm_year}-{draw.randrange(1000, 60000)}"
        return replace(self.raised(when, f"Patch {cve}"), patches=(*self.patches, f"{cve}.patch"))

    def raised(self, when: int, text: str = "Bump release to rebuild") -> State:
        """One release more."""
        number, bar, kernel = self.release.partition("_")
        number = _NUMBER.sub(lambda found: str(int(found[0]) + 1), number, count=1)
        change = Change(when, f"{self.version}-{number}", text)
        return replace(self, release=f"{number}{bar}{kernel}", changes=(change, *self.changes))

    def updated(self, when: int) -> State:
        """The next version: its last number one higher, its release 1, without the patches."""
        version = _NUMBER.sub(lambda found: str(int(found[0]) + 1).zfill(len(found[0])), self.version, count=1)
        _, bar, kernel = self.release.partition("_")
        change = Change(when, f"{version}-1", f"Upgrade to {version}")
        return replace(self, version=version, release=f"1{bar}{kernel}", patches=(), changes=(change, *self.changes))


def first_state(spec: Spec) -> State:
    """The state that the facts tell of, with the past that its release promises."""
    draw = random.Random(f"state {spec.path}")
    _, _, rest = spec.main.evr.rpartition(":")
    version, _, release = rest.rpartition("-")
    release = release.removesuffix(DIST)
    patches = tuple(f"CVE-{draw.randrange(2022, 2026)}-{draw.randrange(1000, 60000)}.patch"
                    for _ in range(min(6, int(draw.expovariate(0.6)))))  # fmt: skip
    count = min(60, 1 + int(draw.expovariate(1 / 20)))
    changes = tuple(
        Change(
            BASE_TIME - 86400 * 45 * n - draw.randrange(86400 * 40), f"{version}-{max(1, count - n)}", sentence(draw)
        )
        for n in range(count)
    )
    return State(version=version, release=release, patches=patches, changes=changes)


def macro_name(spec: Spec) -> str:
    """As the toolkit names version macros: `azl_<spec>_version` and `azl_<spec>_release`."""
    return f"azl_{spec.stem.replace('-', '_')}"


def spec_text(
    spec: Spec, state: State, pinned: Mapping[str, tuple[Spec, State]], more_sources: Sequence[str] = ()
) -> str:
    """The spec. `pinned` maps names to the other specs (and their states) whose exact version may be asked for;
    `more_sources` are files beside the spec."""
    return _Writer(spec, state, pinned, more_sources).text()


def stated(spec: Spec, state: State, pinned: Mapping[str, tuple[Spec, State]]) -> Spec:
    """The facts that rpm reads out of the spec in this state, version macros of the others given as they are."""
    return _Writer(spec, state, pinned, ()).stated()


def source_name(spec: Spec, state: State) -> str:
    """The file name of Source0."""
    return f"{spec.name}-{state.version}.tar.gz"


class _Writer:
    def __init__(
        self, spec: Spec, state: State, pinned: Mapping[str, tuple[Spec, State]], more_sources: Sequence[str]
    ) -> None:
        self.spec, self.state, self.pinned, self.more_sources = spec, state, pinned, more_sources
        self.draw = random.Random(f"text {spec.path}")
        self.main = spec.main
        self.epoch = self.main.evr.rpartition(":")[0]
        _, _, rest = self.main.evr.rpartition(":")
        self.version, _, self.release = rest.rpartition("-")
        self.release = self.release.removesuffix(DIST)
        self.own = {binary.name for binary in spec.binaries} | {
            text.split(" ")[0] for binary in spec.binaries for text in (*binary.own_provides, *binary.provides)
        }
        self.names: dict[str, str] = {}  # version macros that are spoken of, and what they are without a first pass
        # a Version: or Release: of a subpackage changes %{version} and %{release} for all that follows
        several = len({each.evr.rpartition(":")[2] for each in spec.binaries}) > 1
        self.v, self.r = ("%{main_version}", "%{main_release}") if several else ("%{version}", "%{release}")
        self.several = several
        self.noarch = all(each.noarch for each in spec.binaries)
        # made by %install where it has an architecture (macros), written out where it has none
        made = [each for each in spec.binaries if each.name == f"{spec.name}-debuginfo" and not each.noarch]
        self.debuginfo = made[0].name if made else None

    def text(self) -> str:
        packages = [each for each in self.spec.binaries if each.name != self.debuginfo]
        main = next((each for each in packages if each.name == self.spec.name), None)
        subs = [each for each in packages if each is not main]
        body = [*self._preamble(main), *self._description(self.spec.name)]
        for sub in subs:
            body += self._subpackage(sub)
        body += self._sections()
        for each in packages:
            body += self._scripts(each)
        for each in packages:
            body += self._files(each)
        body += self._changelog()
        return "\n".join([*self._globals(), *body]) + "\n"

    def stated(self) -> Spec:
        """The facts at this state."""
        return replace(
            self.spec,
            build_requires=tuple(sorted(map(self._evaluated, self.spec.build_requires))),
            binaries=tuple(map(self._stated_binary, self.spec.binaries)),
        )

    def _stated_binary(self, binary: Binary) -> Binary:
        epoch, colon, rest = binary.evr.rpartition(":")
        version, _, release = rest.rpartition("-")
        version = self.state.version if version == self.version else version
        release = self._release if release == self.release + DIST else release
        return replace(
            binary,
            evr=f"{epoch}{colon}{version}-{release}",
            provides=tuple(sorted(map(self._evaluated, binary.provides))),
            requires=tuple(sorted(map(self._evaluated, binary.requires))),
        )

    @cached_property
    def _suffix(self) -> str:
        if not _MODULE.match(self.state.release):
            return ""
        kernel = self._kernel()
        return f"_{self.names[f'{kernel}_version']}.{self.names[f'{kernel}_release']}"

    @cached_property
    def _release(self) -> str:
        """With everything that hangs on it: `2_6.6.134.1.2.azl3`."""
        module = _MODULE.match(self.state.release)
        return f"{module['own'] if module else self.state.release}{self._suffix}{DIST}"

    def _evaluated(self, text: str) -> str:
        """A dependency as rpm prints it."""
        written = self._expressed(text)
        if "%" not in written:
            return written
        own = {"name": self.spec.name, "?dist": DIST, "?_isa": "(x86-64)", "release_suffix": self._suffix}
        own |= dict.fromkeys(("version", "main_version"), self.state.version)
        own |= dict.fromkeys(("release", "main_release"), self._release)
        words = {**own, **self.names}
        once = _MACRO.sub(lambda found: words.get(found[1], found[0]), written)
        return _MACRO.sub(lambda found: words.get(found[1], found[0]), once)

    def _globals(self) -> list[str]:
        versions = [f"%{{!?{name}: %global {name} {value}}}" for name, value in sorted(self.names.items())]
        lines = [line for line in versions if "release_suffix" not in line]
        if _MODULE.match(self.release):
            kernel = self._kernel()
            lines.append(f"%global release_suffix _%{{{kernel}_version}}.%{{{kernel}_release}}")
        lines += [line for line in versions if "release_suffix" in line]
        if not self.debuginfo and not self.noarch:
            lines.append("%global debug_package %{nil}")
        lines += [
            f"%global {self.draw.choice(WORDS)}_{n} {self.draw.choice(WORDS)}" for n in range(self.draw.randrange(5))
        ]
        lines += ["%bcond_without check", "%bcond_with docs"][: self.draw.randrange(3)]
        return [*lines, ""]

    def _kernel(self) -> str:
        """The version macros of the kernel that a module is made for."""
        wanted = next(text for text in self.spec.build_requires if re.match(r"kernel(-hwe)?-devel = ", text))
        return self._speak_of(*self.pinned[wanted.split(" ")[0]])

    def _speak_of(self, other: Spec, state: State) -> str:
        name = macro_name(other)
        if module := _MODULE.match(state.release):
            release = f"{module['own']}%{{release_suffix}}" if "_" in self.release else state.release
        else:
            release = state.release
        self.names[f"{name}_version"], self.names[f"{name}_release"] = state.version, release
        return name

    def _preamble(self, main: Binary | None) -> list[str]:
        spec, draw = self.spec, self.draw
        suffix = "%{release_suffix}" if (module := _MODULE.match(self.state.release)) else ""
        if module:
            self._kernel()
        release = module["own"] if module else self.state.release
        lines = [
            f"Summary:        {sentence(draw)}",
            f"Name:           {spec.name}",
            f"Version:        {self.state.version}",
            f"Release:        {release}{suffix}%{{?dist}}",
            *([f"Epoch:          {self.epoch}"] if self.epoch else []),
            f"License:        {draw.choice(('MIT', 'GPLv2+', 'LGPLv2+', 'ASL 2.0', 'BSD'))}",
            "Vendor:         Synthetic Linux",
            "Distribution:   Synthetic Linux",
            f"Group:          {draw.choice(GROUPS)}",
            f"URL:            https://upstream.example/{spec.name}",
            "Source0:        https://upstream.example/%{name}/archive/%{name}-%{version}.tar.gz",
        ]
        if draw.random() < 0.15:
            lines.append("Source1:        %{name}.conf")
        lines += [f"Source{n}:       {file}" for n, file in enumerate(self.more_sources, 10)]
        lines += [f"Patch{n}:         {patch}" for n, patch in enumerate(self.state.patches)]
        if self.several:
            lines += ["%global main_version %{version}", "%global main_release %{release}"]
        requires = [self._tag("BuildRequires", text) for text in spec.build_requires]
        checks = len(requires) // 4 if draw.random() < 0.3 else 0
        lines += requires[checks:]
        if checks:
            lines += ["%if 0%{?with_check:1}%{!?with_check:1}", *requires[:checks], "%endif"]
        if self.noarch:
            lines.append("BuildArch:      noarch")
        return [*lines, *(self._dependencies(main) if main else []), ""]

    def _subpackage(self, sub: Binary) -> list[str]:
        prefix = f"{self.spec.name}-"
        name = sub.name.removeprefix(prefix) if sub.name.startswith(prefix) else f"-n {sub.name}"
        lines = [f"%package        {name}", f"Summary:        {sentence(self.draw)}"]
        epoch, _, rest = sub.evr.rpartition(":")
        version, _, release = rest.rpartition("-")
        if epoch != self.epoch:
            lines.append(f"Epoch:          {epoch or 0}")
        if self.several:
            same = version == self.version
            lines.append(f"Version:        {self.v if same else version}")
            if release.removesuffix(DIST) != self.release:
                lines.append(f"Release:        {release.removesuffix(DIST)}%{{?dist}}")
            elif self.several:
                lines.append(f"Release:        {self.r}")
        if sub.noarch and not self.noarch:
            lines.append("BuildArch:      noarch")
        return [*lines, *self._dependencies(sub), "", *self._description(name)]

    def _dependencies(self, binary: Binary) -> list[str]:
        written = [text for text in binary.requires if text not in ("/bin/sh", "/sbin/ldconfig")]
        lines = [self._tag("Requires", text) for text in written]
        return lines + [self._tag("Provides", text) for text in binary.provides]

    def _tag(self, tag: str, text: str) -> str:
        return f"{f'{tag}:':<16}{self._expressed(text)}"

    def _expressed(self, text: str) -> str:
        """A dependency in the words of a person: macros for what is this spec's own, or another's exact version."""
        name, sense, evr = [*text.split(" "), "", ""][:3]
        if text.startswith("("):
            return self._literal(text.replace(f"{self.version}-{self.release}{DIST}", f"{self.v}-{self.r}"))
        if not evr:
            return text
        if name in self.own:
            return f"{self._arch(name)} {sense} {self._own(evr)}"
        if sense == "=" and name in self.pinned:
            other, state = self.pinned[name]
            base = other.main.evr
            if evr == base and ":" in base:
                return f"{name} = {base.rpartition(':')[0]}:{state.version}-{state.release}%{{?dist}}"
            if evr == base.rpartition("-")[0]:
                return f"{name} = %{{{self._speak_of(other, state)}_version}}"
            if evr == base:
                macro = self._speak_of(other, state)
                return f"{name} = %{{{macro}_version}}-%{{{macro}_release}}%{{?dist}}"
        return self._literal(text)

    def _arch(self, name: str) -> str:
        plain = name.removesuffix("(x86-64)")
        plain, arch = self._named(plain), "%{?_isa}" if plain != name else ""
        return plain + arch

    def _named(self, name: str) -> str:
        return f"%{{name}}{name.removeprefix(self.spec.name)}" if name.startswith(self.spec.name) else name

    def _own(self, evr: str) -> str:
        epoch, colon, rest = evr.rpartition(":")
        version, bar, release = rest.rpartition("-")
        if not bar:
            return f"{epoch}{colon}{self.v}" if rest == self.version else self._literal(evr)
        if release == self.release + DIST:
            return f"{epoch}{colon}{self.v if version == self.version else version}-{self.r}"
        return self._literal(evr)

    def _literal(self, text: str) -> str:
        return text.replace(DIST, "%{?dist}") if DIST in text else text

    def _description(self, name: str) -> list[str]:
        own = name == self.spec.name
        head = "%description" if own else f"%description    {name}"
        return [head, *(sentence(self.draw, 12) for _ in range(self.draw.randrange(1, 6))), ""]

    def _sections(self) -> list[str]:
        kind = self._kind()
        lines = ["%prep", "%autosetup -p1 -n %{name}-%{version}", *self._shell(2)]
        lines += ["", "%build", *BUILD[kind], *self._shell(6), "", "%install", *INSTALL[kind], *self._shell(14)]
        return [*lines, "", "%check", *CHECK[kind], ""]

    def _kind(self) -> str:
        needs = set(self.spec.build_requires)
        for kind, names in KINDS.items():
            if needs & names:
                return kind
        return "configure"

    def _shell(self, mean: int) -> list[str]:
        """The lines of shell that specs are full of: hundreds in some, none in most."""
        count = min(160, int(self.draw.expovariate(1 / mean)))
        return [shell_line(self.draw) for _ in range(count)]

    def _scripts(self, binary: Binary) -> list[str]:
        name = "" if binary.name == self.spec.name else f" -n {binary.name}"
        lines = []
        if "/sbin/ldconfig" in binary.requires:
            lines += [f"%post{name} -p /sbin/ldconfig", f"%postun{name} -p /sbin/ldconfig", ""]
        if "/bin/sh" in binary.requires:
            lines += [f"%preun{name}", "%systemd_preun %{name}.service", *self._shell(2), "exit 0", ""]
        return lines

    def _files(self, binary: Binary) -> list[str]:
        name = "" if binary.name == self.spec.name else f" -n {binary.name}"
        lines = [f"%files{name}", "%defattr(-,root,root)", "%license COPYING"]
        end = binary.name.rpartition("-")[2]
        places = PLACES.get(self._kind(), ("%{_bindir}/*", f"%{{_libdir}}/{binary.name}", "%exclude %{_libdir}/*.la"))
        lines += FILES.get(end, places)
        if end not in FILES and binary.name == self.spec.name and not self.noarch:
            lines.append("%{_bindir}/%{name}")
        lines += [f"%{{_datadir}}/{binary.name}/{word}" for word in self.draw.sample(WORDS, self.draw.randrange(4))]
        return [*lines, ""]

    def _changelog(self) -> list[str]:
        lines = ["%changelog"]
        for change in self.state.changes:
            day = time.strftime("%a %b %d %Y", time.gmtime(change.time))
            person = random.Random(change.time).choice(MAINTAINERS)
            lines += [f"* {day} {person} - {change.evr}", f"- {change.text}", ""]
        return lines


def source_folder_files(spec: Spec, state: State, text: str) -> Iterable[tuple[str, str]]:
    """(name, content) of everything that lies beside the spec, its signatures left out."""
    for patch in state.patches:
        yield patch, patch_text(f"{spec.path} {patch}")
    if "Source1:" in text:
        yield f"{spec.name}.conf", f"[{spec.name}]\nenabled = true\n"
