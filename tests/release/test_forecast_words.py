"""A forecast in words: one screen, nothing hidden without saying so, and no word of a change that becomes markup."""

from __future__ import annotations

import dataclasses

import pytest

from release.errors import Refused
from release.forecast.differences import ImageFacts
from release.forecast.forecasts import Forecast, Rewritten
from release.forecast.markdown import LIMIT, MARKER, markdown
from release.forecast.words import text, unknown_package, why
from release.source.specs import Package
from tests.release.test_forecasting import BASE, TREE, changed, made
from tests.release.test_graph import binary, package

SMALL = made(TREE, (changed(BASE, evr="1-2"), *TREE[1:]), durations={"base": 60.0, "lib": 600.0}, jobs=2)


def large(certain: int = 1) -> Forecast:
    """Many certain ones, 400 next to them, 40 further."""
    roots = tuple(package(f"root{n}") for n in range(certain))
    near = tuple(package(f"a-package-near-to-it-{n:03}", "root0") for n in range(400))
    far = tuple(package(f"far-{n:02}", "a-package-near-to-it-000") for n in range(40))
    images = {f"image{n}": ImageFacts(definition="1", packages=("root0",)) for n in range(9)}
    after = (*map(changed, roots), *near, *far)
    return made((*roots, *near, *far), after, old_images=images, new_images=images)


def test_says_in_one_sentence_what_happens_and_then_why() -> None:
    assert text(SMALL).splitlines() == [
        "plan aaaaaaaaaaaa -> bbbbbbbbbbbb: 1 package will be built, 2 may be, 1 stay as",
        "  they are",
        "",
        "will be built, in this order",
        "   1 base  changed: base.spec (1-1 -> 1-2)",
        "",
        "may be built, each only if what its build observes changes",
        "  next to it (1)     lib",
        "  two away (1)       tool",
        "time               about 60 s, at most 16 min (2 jobs; 1 package without a past",
        "                   build)",
    ]


@pytest.mark.parametrize("certain", [1, 60])
def test_four_hundred_packages_stay_on_one_screen(certain: int) -> None:
    found = large(certain)
    lines = text(found).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    shown = "\n".join(lines)
    assert "more (--json has all)" in shown
    assert "next to it (400)" in shown and "two away (40)" in shown
    assert ("and 55 more (--json has all)" in shown) is (certain == 60)


def test_counts_what_it_does_not_show() -> None:
    (line,) = [each for each in text(large()).replace("\n                     ", " ").splitlines() if "next to" in each]
    names, _, more = line.partition(" and ")
    assert names.count("a-package-near-to-it-") + int(more.split()[0]) == 400


def test_nothing_to_do_is_one_line() -> None:
    assert text(made(TREE, TREE)) == (
        "plan aaaaaaaaaaaa -> bbbbbbbbbbbb: nothing that a release is made of changes:\n  nothing will be built"
    )


def test_a_refusal_stands_before_everything_else() -> None:
    lines = text(made(TREE, TREE[1:])).splitlines()
    assert lines[3].startswith("REFUSED: SPECS/base/base.spec: the commit removes base, and others need it")
    assert any("SPECS/lib/lib.spec:10: lib: BuildRequires: base-devel" in line for line in lines)


def test_a_spec_that_cannot_be_read_is_named_with_its_line_and_who_waits_for_it() -> None:
    error = Refused("rpm cannot read the spec", where="SPECS/lib/lib.spec:7", got="Unknown tag: Nmae")
    found = made(TREE, (changed(BASE), *TREE[2:]), new_failed={"SPECS/lib/lib.spec": error})
    shown = text(found)
    assert "  lib: SPECS/lib/lib.spec:7: rpm cannot read the spec: Unknown tag: Nmae" in shown
    assert "2 STOPPED" in shown
    assert "need it (1)" in shown


def test_a_rewritten_branch_says_with_what_it_is_compared_and_what_was_dropped() -> None:
    rewritten = Rewritten(asked="c" * 40, merge_base="d" * 40, dropped=("e" * 40, "c" * 40))
    found = dataclasses.replace(SMALL, rewritten=rewritten)
    assert Forecast.from_json(found.to_json()) == found
    shown = " ".join(text(found).split())
    assert "bbbbbbbbbbbb does not contain cccccccccccc. Compared with dddddddddddd" in shown
    assert "Dropped: eeeeeeeeeeee, cccccccccccc" in shown
    assert "**The branch was rewritten**" in markdown(found)


def test_says_why_a_package_may_be_built_step_by_step() -> None:
    assert why(SMALL, "tool") == (
        "tool may be built: only if what its build observes changes.",
        "",
        "  base will be built",
        "    changed: base.spec (1-1 -> 1-2)",
        "  lib has base in its build root",
        "    BuildRequires base-devel",
        "  tool has lib in its build root",
        "    BuildRequires lib-devel",
        "",
        "Where a build on this way comes out as others saw it before, the way ends there.",
    )


def test_a_long_way_stays_on_one_screen() -> None:
    tree = [package("p0"), *(package(f"p{n}", f"p{n - 1}-devel") for n in range(1, 30))]
    lines = why(made(tuple(tree), (changed(tree[0]), *tree[1:])), "p29")
    assert len(lines) <= 24
    assert "  p2 has p1 in its build root" in lines and "  p29 has p28 in its build root" in lines
    assert "  and 24 steps between (--json has all)" in lines


def test_says_why_a_package_will_be_built_is_left_alone_removed_or_stopped() -> None:
    assert why(SMALL, "base") == ("base will be built.", "", "  changed: base.spec (1-1 -> 1-2)")
    assert why(SMALL, "other")[0] == "other will not be built."
    assert "its build root holds no package that follows from base." in " ".join(" ".join(why(SMALL, "other")).split())
    gone = made(TREE, TREE[1:])
    assert why(gone, "base") == ("base is removed: its spec is not in bbbbbbbbbbbb any more.",)
    stopped = made(TREE, (changed(TREE[2]), *TREE[::3]), new_failed={"SPECS/lib/lib.spec": Refused("bad spec")})
    assert why(stopped, "lib") == ("lib will not be built.", "", "SPECS/lib/lib.spec: bad spec")
    assert why(stopped, "tool")[2:] == (
        "it needs lib", "  tool has lib in its build root", "    BuildRequires lib-devel",
    )  # fmt: skip


def test_old_mistakes_take_one_line_and_new_ones_are_listed_with_their_place_once() -> None:
    old = {f"SPECS/o{n}/o{n}.spec": Refused("bad", where=f"SPECS/o{n}/o{n}.spec:7") for n in range(30)}
    new = {f"SPECS/n{n}/n{n}.spec": Refused("bad", where=f"SPECS/n{n}/n{n}.spec:7") for n in range(6)}
    found = made(TREE, (changed(TREE[0]), *TREE[1:]), old_failed=old, new_failed=old | new)
    shown = text(found).splitlines()
    assert "6 STOPPED" in " ".join(shown[:2])
    assert "  SPECS/n0/n0.spec:7: bad" in shown and "  and 2 more (--json has all)" in shown
    assert len([line for line in shown if "SPECS/o" in line]) == 1
    assert any(line.startswith("unreadable before  SPECS/o0/o0.spec") and "(and 29 more" in line for line in shown)
    assert "- `SPECS/n0/n0.spec:7: bad`" in markdown(found)
    assert "unreadable before, too: `SPECS/o0/o0.spec`" in markdown(found)


def test_a_name_that_is_nowhere_is_guessed() -> None:
    assert unknown_package("bsae", ["base", "lib"]).hint == "did you mean 'base'?"
    assert unknown_package("zzz", ["base", "lib"]).message == "no source package 'zzz' in the tree"


def test_the_comment_of_a_pull_request_has_its_marker_first_and_everything_in_code() -> None:
    shown = markdown(SMALL)
    assert shown.splitlines()[0] == MARKER
    assert "| 1 | `base` | `changed: base.spec (1-1 -> 1-2)` |" in shown
    assert "`lib needs base: BuildRequires base-devel; tool needs lib: BuildRequires lib-devel`" in shown


def test_no_word_of_a_change_becomes_markup() -> None:
    bad = "x`|<img src=x onerror=alert(1)> @everyone [a](javascript:b)\n# head\u202e"
    evil = package("evil", f"{bad.split()[0]}", binaries=[binary("evil")])
    found = made((evil,), (changed(evil, evr=bad),), new_images={bad: ImageFacts(definition="1", problem=bad)})
    error = Refused("no", got=bad, where="SPECS/z/z.spec")
    found = dataclasses.replace(found, refusals=made(TREE, TREE[1:]).refusals)
    stopped = made(TREE, (), new_failed={"SPECS/z/z.spec": error})
    for shown in (markdown(found), markdown(stopped)):
        outside = shown.split("`")[::2]  # what stands between two code spans
        assert not any(sign in part for part in outside for sign in ("<img", "@", "[a]", "# head\n", "\u202e"))


def test_a_comment_is_never_too_long_for_the_forge() -> None:
    long = made((), tuple(dataclasses.replace(package(f"{'n' * 200}{n}"), evr="1" * 5000) for n in range(300)))
    assert len(markdown(long)) <= LIMIT + 100
    many: tuple[Package, ...] = tuple(package(f"{'n' * 2000}{n}") for n in range(40))
    assert len(markdown(made((), many))) <= LIMIT + 100
