"""Two builds of one real package: what differs is shown line by line, and what counts for nobody is not shown."""

from __future__ import annotations

import asyncio
import gzip
import io
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from release.tools import rpm_difference as rpm_difference_module
from release.tools.file_difference import LINES, WIDTH, file_difference
from release.tools.rpm_difference import TEXT_BYTES, installed_diffoscope, rpm_difference
from tests.tools.changed_rpms import LIBRARY, MODULE, STATIC, TOOL, VERSIONS, Keel, build

NEW_SYMBOL = LIBRARY + "int keel_bend(void) { return 4; }\n"


def edited(**changes: object) -> Keel:
    return replace(Keel(), **changes)  # type: ignore[arg-type]


MANY = edited(
    header="#define KEEL_MAX 11\nint keel_lay(int length);\n",
    tool=TOOL + 'const char *keel_when = "built at 03:12";\n',
    module=MODULE.replace("7", "8"),
    static=STATIC.replace("1", "2"),
    compressed=gzip.compress(b"one\nthree\n", mtime=7),
    more="Requires: rope >= 2",
    scripts="%post\ntouch /usr/share/keel/made",
    mode=0o600,
    install="echo x > %{buildroot}/usr/share/keel/x",
)
CHANGES = {
    "a new symbol": (
        edited(library=NEW_SYMBOL, versions=VERSIONS + "KEEL_1.1 { global: keel_bend; } KEEL_1.0;"),
        "    +exports keel_bend@@KEEL_1.1 FUNC\n",
    ),
    "a function body": (
        edited(library=LIBRARY.replace("length + 1", "length + 2"), build_id="0x" + "cd" * 20),
        "/usr/lib64/libkeel.so.1.2 changed\n    section .text differs\n",
    ),
    "a header": (
        MANY,
        "/usr/include/keel.h changed\n    @@ -1,2 +1,2 @@\n    -#define KEEL_MAX 10\n    +#define KEEL_MAX 11\n",
    ),
    "a word in a program": (MANY, '      +"built at 03:12"\n'),
    "a module": (MANY, "probe.so changed\n    section .text differs\n"),
    "a member of a static library": (
        MANY,
        "/usr/lib64/libkeel.a changed\n    member st.o differs\n      section .text differs\n",
    ),
    "a compressed text": (
        MANY,
        "/usr/share/keel/more.gz changed\n    inside, unpacked:\n    @@ -1,2 +1,2 @@\n     one\n    -two\n    +three\n",
    ),
    "a requirement": (MANY, "requires rope >= 2 is new\n"),
    "a script": (
        MANY,
        "post:\n    @@ -1 +1,2 @@\n    -/sbin/ldconfig\n    +touch /usr/share/keel/made\n    +/bin/sh\n",
    ),
    "a mode": (MANY, "/usr/share/keel/planks is 100600, was 100644\n"),
    "a file that is new": (MANY, "/usr/share/keel/x is new\n"),
}


@cache
def built(keel: Keel) -> tuple[Path, ...]:
    return tuple(build(keel, Path(mkdtemp(prefix="slipway-difference-"))).values())


def plain(changed: Keel) -> Keel:
    """The package as it was before the change."""
    return edited(compressed=gzip.compress(b"one\ntwo\n", mtime=1)) if changed.compressed else Keel()


@cache
def difference(before: Keel, after: Keel, **more: object) -> str:
    return asyncio.run(rpm_difference(built(before), built(after), **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(("changed", "shown"), CHANGES.values(), ids=CHANGES)
def test_shows_what_differs_and_names_both_files(changed: Keel, shown: str) -> None:
    text = difference(plain(changed), changed)
    assert shown in text
    assert text.startswith("--- published     keel-")
    assert "section .note.gnu.build-id" not in text and ".gnu_debuglink" not in text


@pytest.mark.parametrize(
    "changed",
    [
        edited(seconds=1767225960, payload="w9.gzdio"),
        edited(build_id="0x" + "cd" * 20, debug_file="keel-1.2-2.skiff2.debug"),
        edited(bytecode_seconds=9, ar_time=99, changelog="Moored."),
        edited(release="2.skiff1^3"),
    ],
    ids=["times and compression", "build ids", "times in archives", "a rebuild"],
)
def test_says_nothing_where_an_installed_system_has_the_same(changed: Keel) -> None:
    assert built(Keel()) != built(changed)
    assert difference(Keel(), changed) == ""


def test_a_package_that_is_gone_is_named() -> None:
    both, (first, *_) = built(Keel()), built(Keel())
    gone = next(path for path in both if path != first)
    name = "keel-devel" if "devel" in gone.name else "keel"
    assert f"{name}.x86_64: the package is gone\n" in asyncio.run(rpm_difference(both, [first]))


def test_the_text_has_an_end_however_much_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    one = "".join(f"{n}\n" for n in range(5000))
    two = "".join(f"{n}{'x' * 500}\n" for n in range(5000))
    lines = file_difference("/usr/share/big", memoryview(one.encode()), memoryview(two.encode()))
    assert len(lines) == LINES + 1 and lines[-1] == "..."
    assert max(map(len, lines)) <= WIDTH + 4
    monkeypatch.setattr(rpm_difference_module, "TEXT_BYTES", 2000)
    monkeypatch.setattr(rpm_difference_module, "FILES", 3)
    many = "for n in $(seq 99); do echo {} > %{{buildroot}}/usr/share/keel/$n; done"
    text = difference(edited(install=many.format("a")), edited(install=many.format("b")))
    assert len(text.encode()) < 2100 and text.endswith("... cut at 2000 bytes\n")
    monkeypatch.setattr(rpm_difference_module, "TEXT_BYTES", TEXT_BYTES)
    one, two = (built(edited(install=many.format(word))) for word in "ab")
    text = asyncio.run(rpm_difference(one, two))
    assert text.count("    -a\n") == 3 and "the contents of 96 more files were not compared" in text


def test_lines_count_from_the_start_of_the_file() -> None:
    one = [f"line {n}" for n in range(900)]
    two = [*one[:700], "another", *one[701:]]
    before, after = ("\n".join(side).encode() for side in (one, two))
    assert file_difference("/x", memoryview(before), memoryview(after))[0] == "@@ -699,5 +699,5 @@"


def test_members_of_a_zip_are_compared_without_their_times() -> None:
    def zipped(text: str, hour: int) -> memoryview:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(zipfile.ZipInfo("same.txt", (2026, 1, 1, hour, 0, 0)), "same")
            archive.writestr(zipfile.ZipInfo("other.txt", (2026, 1, 1, hour, 0, 0)), text)
        return memoryview(out.getvalue())

    lines = file_difference("/usr/share/x.jar", zipped("one", 1), zipped("two", 2))
    assert lines == ("member other.txt differs", "  @@ -1 +1 @@", "  -one", "  +two")


@pytest.mark.parametrize(
    "broken",
    [b"\x7fELF" + b"\xff" * 80, b"PK\x03\x04" + b"\xff" * 80, b"\x1f\x8b" + b"\xff" * 80, b"!<arch>\n" + b"\xff" * 90],
    ids=["elf", "zip", "gzip", "ar"],
)
def test_a_broken_file_is_compared_by_its_bytes(broken: bytes) -> None:
    lines = file_difference("/usr/lib/x", memoryview(broken), memoryview(broken[:-1] + b"\xfe"))
    assert lines[0].startswith("from byte")


def test_bytes_say_where_they_begin_to_differ_and_which_words_only_one_has() -> None:
    before, after = (b"\x00\xff" * 500 + b"made on monday" * len(day) + day for day in (b"\x01monday", b"\x01tuesday!"))
    lines = file_difference("/usr/share/x", memoryview(before), memoryview(after))
    assert lines[0] == f"{len(before)} bytes, from scratch {len(after)}"
    at = next(n for n, (one, two) in enumerate(zip(before, after, strict=False)) if one != two)
    assert lines[1].startswith(f"from byte {at} on: ")
    assert '+"tuesday!"' in lines


HEADER = edited(header="#define KEEL_MAX 12\n")


@pytest.mark.skipif(installed_diffoscope() is None, reason="diffoscope is not installed here")
def test_diffoscope_adds_its_view_where_it_is_installed() -> None:
    text = difference(Keel(), HEADER, diffoscope=installed_diffoscope())
    own, _, foreign = text.partition("diffoscope says, times and all:\n")
    assert "-#define KEEL_MAX 10" in own
    assert "./usr/include/keel.h" in foreign and "-#define KEEL_MAX 10" in foreign


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("sleep 60", "diffoscope: bwrap did not end in time"),
        ("echo out of paint >&2; exit 2", "diffoscope ended with code 2:\n    out of paint\n"),
        ("yes ship", "diffoscope says, times and all:\n    ship\n    ship\n"),
        ("cat < /dev/tcp/192.0.2.1/22; exit 2", "Network is unreachable"),
    ],
    ids=["hangs", "fails", "never stops", "reaches out"],
)
def test_a_diffoscope_that_misbehaves_spoils_nothing(script: str, told: str, tmp_path: Path) -> None:
    program = tmp_path / "diffoscope"
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)
    text = difference(Keel(), HEADER, diffoscope=program, seconds=3.0)
    assert "-#define KEEL_MAX 10" in text
    assert told in text
    assert len(text) < TEXT_BYTES
