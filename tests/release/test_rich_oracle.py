"""What a rich dependency may install, judged by rpm itself: which sets of packages satisfy it in a transaction."""

from __future__ import annotations

import itertools
import json
import subprocess

import pytest

from release.graph.capabilities import parse
from release.graph.providers import Offer, Providers
from release.source.specs import BinaryPackage

OFFERED = {
    "a": ("a = 1-1", "pkgconfig(shared) = 2"),
    "b": ("b = 1-1", "pkgconfig(shared) = 1", "perl(Wrapped::Name)"),
    "c": ("c = 2-1", "python3dist(c) = 2.0", "cmake(C)"),
}
RICH = (
    "a", "(a)", "(a and b)", "(a and b and c)", "(a or b)", "(a or nothing)", "(a and nothing)", "(a if b)",
    "(a if nothing)", "(a if b else c)", "(a if nothing else c)", "(nothing if b)", "(nothing if b else c)",
    "(a >= 1 with a < 2)", "(a >= 2 with a < 3)", "(pkgconfig(shared) >= 2 with a)", "(pkgconfig(shared) without b)",
    "(pkgconfig(shared) without a)", "((a or b) and (c if a))", "((a and b) or c)", "((nothing or b) and c)",
    "pkgconfig(shared)", "pkgconfig(shared) >= 2", "perl(Wrapped::Name)", "python3dist(c) >= 1.5", "cmake(C)",
    "/usr/share/c.txt", "(/usr/share/c.txt and a)", "c < 2", "c = 2",
)  # fmt: skip
# What stands after an `if` is installed for other reasons, or not at all.
CONDITIONS = {"(a if b else c)": {"b"}}
# The system's own Python has rpm's bindings (dnf needs them); ours has not.
JUDGE = """
import itertools, json, os, rpm, sys
rpm.addMacro("_dbpath", sys.argv[1] + "/db")
def read(path):
    with open(path) as file:
        return rpm.TransactionSet("", -1).hdrFromFdno(file.fileno())
headers = {os.path.basename(path): read(path) for path in sys.argv[2:]}
def satisfied(tool, others):
    transaction = rpm.TransactionSet("", -1)
    for name in (tool, *others):
        transaction.addInstall(headers[name], name, "i")
    transaction.check()
    return not [each for each in transaction.problems() if tool in str(each)]
def judged(tool):
    return [others for n in range(4) for others in itertools.combinations("abc", n) if satisfied(tool, others)]
print(json.dumps({tool: judged(tool) for tool in headers if tool not in "abc"}))
"""


def package(name: str, tags: str, files: str = "") -> str:
    return f"%package -n {name}\nSummary: {name}\n{tags}\n%description -n {name}\n.\n%files -n {name}\n{files}\n"


@pytest.fixture(scope="module")
def judgement(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[set[str]]]:
    """For each requirement the sets of a, b and c beside which rpm would install what has it."""
    folder = tmp_path_factory.mktemp("rich")
    parts = []
    for name, provides in OFFERED.items():
        version = provides[0].rpartition(" ")[2].partition("-")[0]
        files = "/usr/share/c.txt" if name == "c" else ""
        parts.append(
            package(name, "\n".join([f"Version: {version}", *(f"Provides: {x}" for x in provides[1:])]), files)
        )
    parts += [package(f"tool{n}", f"Requires: {text}") for n, text in enumerate(RICH)]
    (folder / "rich.spec").write_text(
        "Name: rich\nVersion: 1\nRelease: 1\nSummary: .\nLicense: .\nBuildArch: noarch\nAutoReqProv: no\n"
        "%description\n.\n%install\nmkdir -p %{buildroot}/usr/share\necho > %{buildroot}/usr/share/c.txt\n"
        + "".join(parts)
    )
    defines = [
        "--define",
        f"_topdir {folder}",
        "--define",
        "_build_name_fmt %%{NAME}",
        "--define",
        "_rpmdir %{_topdir}",
    ]
    subprocess.run(["rpmbuild", "-bb", *defines, folder / "rich.spec"], check=True, capture_output=True)
    rpms = [folder / name for name in (*OFFERED, *(f"tool{n}" for n in range(len(RICH))))]
    done = subprocess.run(["/usr/bin/python3", "-c", JUDGE, folder, *rpms], capture_output=True, text=True, check=True)
    judged = json.loads(done.stdout)
    return {text: [set(each) for each in judged[f"tool{n}"]] for n, text in enumerate(RICH)}


def providers() -> Providers:
    files = {"c": ("/usr/share/c.txt",)}
    return Providers(
        Offer(
            source=name,
            binary=BinaryPackage(
                name=name, evr=provides[0].rpartition(" ")[2], provides=provides, files=files.get(name, ())
            ),
        )
        for name, provides in OFFERED.items()
    )


def minimal(sets: list[set[str]]) -> list[set[str]]:
    return [each for each in sets if not any(other < each for other in sets)]


@pytest.mark.parametrize("text", RICH)
def test_all_that_rpm_could_install_for_it_counts(text: str, judgement: dict[str, list[set[str]]]) -> None:
    """None exactly where no set satisfies it; and nothing of any smallest set that does is forgotten."""
    known = providers()
    found = known.resolve(parse(text))
    assert (found is None) is (judgement[text] == [])
    names = {known.offers[each].binary.name for each in found or ()}
    assert set(itertools.chain(*minimal(judgement[text]))) <= names | CONDITIONS.get(text, set())
    if names and set() not in judgement[text]:  # with all of it installed, rpm is content
        assert names in judgement[text]


def test_the_judge_tells_good_from_bad(judgement: dict[str, list[set[str]]]) -> None:
    assert judgement["(a and b)"] == [{"a", "b"}, {"a", "b", "c"}]
    assert judgement["c < 2"] == []
    assert set() in judgement["(a if b)"] and {"b"} not in judgement["(a if b)"]
