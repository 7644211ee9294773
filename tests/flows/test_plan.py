"""`slipway plan --from --to` and `slipway graph`: real repositories, the real parser, and nothing else at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from release.errors import Misconfigured, Refused
from release.forecast.forecasts import Forecast
from release.forecast.markdown import MARKER
from tasks.foresee import keep_durations
from tests import tiny_tree
from tests.conftest import ROOT

IDENTITY = ["-c", "user.name=Robin", "-c", "user.email=robin@tiny.example"]
# No state, no network that answers, no engine: a proxy that is not there would stop whoever asks anybody.
BARE = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT), "DOCKER_HOST": "unix:///nonexistent",
    "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "COLUMNS": "80",
}  # fmt: skip
README = "README.md"
CVE = {"SPECS/aa/aa.txt": "pepper\n"}


@dataclass(frozen=True, kw_only=True)
class Clone:
    """A work tree of a distribution, and the folder that stands for the user's home."""

    tree: Path
    home: Path

    def git(self, *words: str) -> str:
        argv = ["git", "-C", str(self.tree), *IDENTITY, *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, files: Mapping[str, str | None], *, on: str) -> str:
        """One commit on top of another one; HEAD is left there, detached."""
        self.git("checkout", "-q", "--detach", on)
        for path, content in files.items():
            file = self.tree / path
            if content is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def slipway(self, *words: str, at: Path | None = None) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "flows.cli", *words]
        environment = {**BARE, "HOME": str(self.home)}
        return subprocess.run(
            argv, cwd=at or self.tree, env=environment, check=False, capture_output=True, text=True, timeout=120
        )

    def forecast(self, since: str, until: str) -> Forecast:
        done = self.slipway("plan", "--from", since, "--to", until, "--json")
        assert done.stdout, done.stderr
        return Forecast.from_json(json.loads(done.stdout))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder = tmp_path_factory.mktemp("clone")
    made = Clone(tree=folder / "tree", home=folder / "home")
    made.tree.mkdir()
    made.git("init", "-q", "-b", "main")
    for path, content in tiny_tree.tree().items():
        file = made.tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (made.tree / "SPECS/tiny-repos/tiny.repo").write_text("[tiny]\n")
    (made.tree / "SPECS/tiny-repos/RPM-GPG-KEY-tiny").write_text("key\n")
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "first")
    made.git("tag", "first")
    return made


def test_tells_what_will_be_built_from_what_may_be_and_explains_each(clone: Clone) -> None:
    commit = clone.commit(CVE, on="first")
    done = clone.slipway("plan", "--from", "first", "--to", "HEAD")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"plan {clone.git('rev-parse', 'first')[:12]} -> {commit[:12]}: 1 package will be built, 2 may be, 3 stay as",
        "  they are",
        "",
        "will be built, in this order",
        "   1 aa  changed: aa.txt",
        "",
        "may be built, each only if what its build observes changes",
        "  next to it (2)     bb, cc",
        "",
        "images that follow distroless (holds packages of aa)",
        "time               not known: no past builds",
    ]
    why = clone.slipway("plan", "--from", "first", "--to", "HEAD", "--why", "cc").stdout
    assert "  cc has aa in its build root\n    BuildRequires bb, which requires aa" in why
    assert "changed: aa.txt" in why
    assert not (clone.tree / ".slipway").exists() and (clone.home / ".cache/slipway/specs").is_dir()


def test_the_json_reads_back_and_the_comment_has_its_marker(clone: Clone) -> None:
    clone.commit(CVE, on="first")
    found = clone.forecast("first", "HEAD")
    assert [each.package for each in found.certain] == ["aa"]
    assert [each.package for each in found.possible] == ["bb", "cc"]
    assert clone.slipway("plan", "--from", "first", "--markdown").stdout.startswith(MARKER)


@pytest.mark.parametrize("path", [README, "docs/deep/new.txt", "policies/edge.yaml", "SPECS/aa/README", "SPECS/x.md"])
def test_a_commit_that_no_release_is_made_of_builds_nothing(clone: Clone, path: str) -> None:
    clone.commit({path: "words\n"}, on="first")
    assert clone.forecast("first", "HEAD").is_empty


def test_past_builds_give_an_estimate(clone: Clone, tmp_path: Path) -> None:
    clone.commit(CVE, on="first")
    keep_durations(tmp_path / ".cache/slipway", {"aa": 60.0, "bb": 120.0})
    known = Clone(tree=clone.tree, home=tmp_path)
    shown = " ".join(known.slipway("plan", "--from", "first").stdout.split())
    assert "time about 60 s, at most" in shown and "1 package without a past build)" in shown


def test_a_macro_builds_those_whose_specs_use_it(clone: Clone) -> None:
    uses = tiny_tree.dd("echo %{?who_uses_it}")
    clone.commit({"SPECS/dd/dd.spec": uses}, on="first")
    clone.git("tag", "-f", "uses")
    clone.commit({"macros/tiny.macros": f"{tiny_tree.MACROS}%who_uses_it dd\n"}, on="uses")
    found = clone.forecast("uses", "HEAD")
    assert [(each.package, each.reasons) for each in found.certain] == [("dd", ("changed: macros that dd.spec uses",))]


def test_a_tree_of_azure_linux_is_read_as_it_is(clone: Clone) -> None:
    plain = {path: None for path in tiny_tree.tree() if not path.startswith("SPECS/") and path != README}
    macros = "%vendor x\n%_binary_payload w1.zstdio\n"
    clone.commit({**plain, "SPECS/azurelinux-rpm-macros/macros": macros}, on="first")
    clone.git("tag", "-f", "azure")
    clone.commit({README: "words\n"}, on="azure")
    assert clone.forecast("azure", "HEAD").is_empty
    clone.commit(CVE, on="azure")
    found = clone.forecast("azure", "HEAD")
    assert ([each.package for each in found.certain], len(found.possible)) == (["aa"], 2)


def test_a_readme_is_told_apart_without_reading_a_spec(clone: Clone, tmp_path: Path) -> None:
    clone.commit({README: "words\n"}, on="first")
    fresh = Clone(tree=clone.tree, home=tmp_path)
    done = fresh.slipway("plan", "--from", "first")
    assert "nothing will be built" in " ".join(done.stdout.split())
    assert not (tmp_path / ".cache/slipway/specs").exists()


def test_a_changed_image_follows_and_others_do_not(clone: Clone) -> None:
    clone.commit({"imageconfigs/base/base.json": tiny_tree.base_image("/bin/true")}, on="first")
    found = clone.forecast("first", "HEAD")
    assert [(each.image, each.reason) for each in found.images] == [("base", "its definition changed")]
    assert found.certain == ()


def test_a_new_package_that_an_image_does_not_list_leaves_images_alone(clone: Clone) -> None:
    clone.commit({"SPECS/new/new.spec": tiny_tree.spec("new", tags="BuildRequires: cc")}, on="first")
    found = clone.forecast("first", "HEAD")
    assert [(each.package, each.reasons) for each in found.certain] == [("new", ("new: SPECS/new/new.spec",))]
    assert (found.images, found.possible) == ((), ())


def test_a_commit_that_deletes_what_others_need_is_refused_with_the_list(clone: Clone) -> None:
    clone.commit({"SPECS/aa/aa.spec": None, "SPECS/aa/aa.txt": None}, on="first")
    done = clone.slipway("plan", "--from", "first")
    assert done.returncode == Refused.exit_code
    assert "REFUSED: SPECS/aa/aa.spec: the commit removes aa, and others need it" in done.stdout
    assert "bb: BuildRequires: aa" in done.stdout and "bb: Requires: aa" in done.stdout
    (refusal,) = clone.forecast("first", "HEAD").refusals
    assert refusal.got is not None and "SPECS/bb/bb.spec" in refusal.got


def test_a_spec_that_does_not_parse_is_named_with_its_line_and_stops_only_its_dependents(clone: Clone) -> None:
    broken = tiny_tree.aa()["SPECS/aa/aa.spec"].replace("License:", "Licence:")
    clone.commit({"SPECS/aa/aa.spec": broken, "SPECS/dd/dd.spec": tiny_tree.dd("true")}, on="first")
    found = clone.forecast("first", "HEAD")
    assert [each.package for each in found.certain] == ["dd"]
    assert [each.package for each in found.stopped] == ["aa", "bb", "cc"]
    assert "SPECS/aa/aa.spec:5" in found.stopped[0].reason
    told = clone.slipway("plan", "--from", "first")
    assert "need it (2)" in told.stdout
    assert told.returncode == Refused.exit_code, "a release of it would be refused"
    done = clone.slipway("graph", "aa")
    assert done.returncode == Refused.exit_code and "SPECS/aa/aa.spec:5: rpm cannot read this spec" in done.stderr
    still = clone.commit({"SPECS/dd/dd.spec": tiny_tree.dd("false")}, on="HEAD")
    later = clone.forecast(f"{still}~1", still)
    assert [each.package for each in later.stopped if each.standing] == ["SPECS/aa/aa.spec"]
    told = clone.slipway("plan", "--from", f"{still}~1")
    assert "STOPPED" not in told.stdout and told.returncode == 0, "it is no doing of this change"


def test_a_bare_repository_is_read_like_a_work_tree(clone: Clone, tmp_path: Path) -> None:
    clone.commit({"SPECS/dd/dd.spec": tiny_tree.dd("true")}, on="first")
    clone.git("branch", "-f", "later")
    clone.git("clone", "-q", "--bare", str(clone.tree), str(tmp_path / "bare.git"))
    done = clone.slipway("plan", "--from", "later~1", "--to", "later", at=tmp_path / "bare.git" / "refs")
    assert "1 package will be built" in done.stdout, done.stderr


def test_a_branch_that_was_force_pushed_is_planned_from_the_merge_base(clone: Clone) -> None:
    dropped = clone.commit({"SPECS/dd/dd.spec": tiny_tree.dd("true")}, on="first")
    kept = clone.commit(CVE, on="first")
    found = clone.forecast(dropped, kept)
    assert found.rewritten is not None
    assert (found.rewritten.asked, found.rewritten.dropped) == (dropped, (dropped,))
    assert found.before == found.rewritten.merge_base == clone.git("rev-parse", "first")
    assert [each.package for each in found.certain] == ["aa"], "what was dropped is no part of the change"
    shown = " ".join(clone.slipway("plan", "--from", dropped, "--to", kept).stdout.split())
    assert f"{kept[:12]} does not contain {dropped[:12]}" in shown


def test_commits_without_common_history_are_refused(clone: Clone) -> None:
    clone.git("checkout", "-q", "--orphan", "alone", "first")
    clone.git("commit", "-q", "-m", "alone")
    done = clone.slipway("plan", "--from", "first", "--to", "alone")
    assert done.returncode == Refused.exit_code
    assert "no common history" in done.stderr
    clone.git("checkout", "-q", "-f", "main")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--from", "nowhere"], "no commit is called 'nowhere'"),
        (["--from", "--exec=x"], "not a revision"),
        (["--from", "first..HEAD"], "not a revision"),
        (["--to", "HEAD"], "--to without --from"),
        (["--from", "first", "--commit", "0" * 40], "give one of them"),
        (["--from", "first", "--repository", "/nonexistent"], "no git repository here"),
    ],
)
def test_each_mistake_has_its_message(clone: Clone, words: list[str], told: str) -> None:
    done = clone.slipway("plan", *words)
    assert done.returncode == Misconfigured.exit_code
    assert told in done.stderr and "Traceback" not in done.stderr


def test_an_unknown_package_is_met_with_a_guess(clone: Clone) -> None:
    clone.commit(CVE, on="first")
    done = clone.slipway("plan", "--from", "first", "--why", "tiny-repo")
    assert done.returncode == Misconfigured.exit_code
    assert "did you mean 'tiny-repos'?" in done.stderr


def test_a_folder_without_a_repository_is_named(clone: Clone, tmp_path: Path) -> None:
    done = clone.slipway("plan", "--from", "first", at=tmp_path)
    assert done.returncode == Misconfigured.exit_code
    assert str(tmp_path) in done.stderr and "--repository" in done.stderr
    clone.commit(CVE, on="first")
    assert clone.slipway("plan", "--from", "first", "--repository", str(clone.tree), at=tmp_path).returncode == 0


def test_the_graph_is_printed_drawn_and_given_as_json(clone: Clone, tmp_path: Path) -> None:
    clone.git("checkout", "-q", "-f", "main")
    assert clone.slipway("graph", "aa", "--depth", "2").stdout.splitlines() == [
        "aa 1.0-1.tiny1: 2 packages have it in their build root, 2 in all",
        "  bb                          BuildRequires aa",
        "  cc                          BuildRequires bb, which requires aa",
    ]
    needs = clone.slipway("graph", "cc", "--on").stdout.splitlines()
    assert needs[1:] == ["  aa                          BuildRequires bb, which requires aa",
                         "  bb                          BuildRequires bb"]  # fmt: skip
    found = json.loads(clone.slipway("graph", "aa", "--json", "--svg", str(tmp_path / "aa.svg")).stdout)
    assert [(each["package"], each["distance"]) for each in found["found"]] == [("bb", 1), ("cc", 1)]
    assert found["found"][1]["needs"] == {"package": "cc", "on": "aa", "through": ["bb", "aa"]}
    assert "who needs it" in "".join(ElementTree.parse(tmp_path / "aa.svg").getroot().itertext())
    assert "did you mean" in clone.slipway("graph", "a").stderr or clone.slipway("graph", "a").returncode == 2
