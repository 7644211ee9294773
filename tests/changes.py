"""The table of changes to Sea Linux, one thing at a time, with what each must lead to; docs/observed.md mirrors it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that is changed: the parts of the tree (`words`), and the outcome of each package to which anything
    happens. `why` are words that the reason of a package must have."""

    what: str
    words: Mapping[str, object]
    built: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)

    @property
    def outcomes(self) -> dict[str, str]:
        """Package -> outcome."""
        table = {"built": self.built, "kept": self.kept, "skipped": self.skipped}
        return {name: outcome for outcome, names in table.items() for name in names}


OWN = "its spec or a file beside it changed"


def sees(*names: str) -> str:
    """The reason of a dependent."""
    return f"its build observes a change of {', '.join(names)}"


CHANGES = (
    Change(
        what="a function body in a shared library (a fix; static code follows)",
        words={"body": "if (hour < 0) return 0; return hour % 12 * factor;"},
        built=("tide", "anchor"),
        skipped=("gauge", "chart"),
        why={"tide": OWN, "anchor": sees("tide-static")},
    ),
    Change(
        what="a new exported symbol",
        words={"symbols": "int tide_mean(void) { return 7; }"},
        built=("tide", "anchor"),
        kept=("gauge", "chart"),
        why={"gauge": sees("tide"), "chart": sees("tide"), "anchor": sees("tide", "tide-static")},
    ),
    Change(
        what="a symbol's version",
        words={"version": "TIDE_1.1"},
        built=("tide", "gauge"),
        kept=("chart", "anchor"),
        why={"gauge": sees("tide"), "chart": sees("gauge", "tide"), "anchor": sees("tide")},
    ),
    Change(
        what="the soname",
        words={"soname": "libtide.so.2"},
        built=("tide", "gauge"),
        kept=("chart", "anchor"),
        why={"gauge": sees("tide", "tide-devel"), "chart": sees("gauge", "tide"), "anchor": sees("tide", "tide-devel")},
    ),
    Change(
        what="a macro in a header",
        words={"high": 13},
        built=("tide", "gauge", "anchor", "chart"),
        why={"gauge": sees("tide-devel"), "anchor": sees("tide-devel"), "chart": sees("gauge")},
    ),
    Change(
        what="a static library alone",
        words={"static": 1},
        built=("tide", "anchor"),
        skipped=("gauge", "chart"),
        why={"anchor": sees("tide-static")},
    ),
    Change(
        what="a flag in a .pc file",
        words={"cflags": "-DMETRES"},
        built=("tide", "gauge", "chart"),
        kept=("anchor",),
        why={"gauge": sees("tide-devel"), "anchor": sees("tide-devel"), "chart": sees("gauge")},
    ),
    Change(
        what="a text in a header-only package",
        words={"shoal": "sand"},
        built=("shoal", "reef"),
        why={"reef": sees("shoal")},
    ),
    Change(
        what="an rpm macro of a macro package",
        words={"knot": "sheepshank"},
        built=("rigging", "sail"),
        why={"sail": sees("rigging")},
    ),
    Change(
        what="a Python module",
        words={"course": "south"},
        built=("pilot", "logbook"),
        why={"logbook": sees("pilot")},
    ),
    Change(
        what="a data file",
        words={"lights": "red"},
        built=("lights", "almanac"),
        why={"almanac": sees("lights")},
    ),
    Change(
        what="a build tool that now makes something else",
        words={"loom": "s/^/plaited /"},
        built=("loom", "rope", "harbour"),
        why={"rope": sees("loom"), "harbour": sees("rope")},
    ),
    Change(
        what="a build tool that makes the same (the change ends here)",
        words={"loom_comment": "plaits"},
        built=("loom",),
        kept=("rope",),
        skipped=("harbour",),
        why={"rope": sees("loom")},
    ),
    Change(
        what="documentation of a library",
        words={"manual": "How to read the tide tables."},
        built=("tide",),
        skipped=("gauge", "chart", "anchor"),
    ),
    Change(
        what="a comment in a spec (no release)",
        words={"rope_comment": "a rope"},
        kept=("rope",),
        skipped=("harbour",),
        why={"rope": OWN},
    ),
    Change(
        what="a README beside two specs (no release)",
        words={"readme": "The deep sea."},
    ),
    Change(
        what="a BuildRequires in addition (no release)",
        words={"reef_requires": "BuildRequires: lights"},
        kept=("reef",),
        why={"reef": OWN},
    ),
    Change(
        what="a data file that is required since the line above",
        words={"lights": "green"},
        built=("lights", "almanac"),
        kept=("reef",),
        why={"almanac": sees("lights"), "reef": "lights"},
    ),
    Change(
        what="a macro of the whole tree (used by one spec, and by a macro package)",
        words={"tree_macro": "grey"},
        built=("whale", "sail"),
        why=dict.fromkeys(("whale", "sail"), "a macro that its spec uses changed"),
    ),
)


def table() -> str:
    """The table as docs/observed.md has it."""
    rows = [
        f"| {each.what} | {_names(each.built)} | {_names(each.kept)} | {_names(each.skipped)} |" for each in CHANGES
    ]
    head = "| what changes | built | built, and the same | not built, although a package below it was |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "-"
