"""Certifies a release: from what its builds say of each package to the record that is kept and signed with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from release.interfaces.file_conflicts import refuse_file_conflicts
from release.interfaces.interface_differences import differences
from release.product.standing import table
from release.source import certificates
from release.source.certificates import Answer, Certificates, ImageCertificate, certify_image
from tasks.assemble import Assembled
from tasks.bench import Bench
from tasks.recall import Previous
from tasks.want import Made

_SHOWN = 20  # differences of one package's interface


def certify(
    bench: Bench, made: Mapping[str, Made], previous: Previous | None, images: Sequence[Assembled]
) -> Certificates:
    """The certificates of the release in the making."""
    before = previous.certificates if previous else Certificates()
    inside = [each for one in made.values() for each in one.standing.inside]
    return certificates.certify(
        {name: _answer(bench, name, each) for name, each in made.items()},
        before,
        interfaces=table(inside),
        sources={each.name: name for name, one in made.items() for each in one.standing.inside},
        images={each.image.name: _image(before, each) for each in images},
    )


def require_one_owner(made: Mapping[str, Made]) -> None:
    """`Refused` when a package with new RPMs owns a path that another package owns, too, and differently."""
    new = [each for each in made.values() if each.is_new]
    changed = [one.rpm.file for each in new for one in each.standing.inside]
    refuse_file_conflicts((one for each in made.values() for one in each.standing.interfaces), changed)


def seconds_of(made: Mapping[str, Made]) -> dict[str, float]:
    """The seconds of the builds that ran, by package."""
    return {name: each.ran.seconds for name, each in made.items() if each.ran}


def _answer(bench: Bench, name: str, made: Made) -> Answer:
    wanted, standing = made.wanted, made.standing
    before = wanted.before
    return Answer(
        evr=standing.build.evr,
        build=standing.manifest,
        recipe=wanted.recipe,
        root=wanted.root,
        consumed=standing.consumed,
        comparison=wanted.comparison,
        inputs=bench.graph.build_inputs(name),
        differs=differences(before.interfaces, standing.interfaces)[:_SHOWN] if before and made.is_new else (),
    )


def _image(before: Certificates, made: Assembled) -> ImageCertificate:
    known = before.images.get(made.image.name)
    return certify_image(known, digest=made.image.digest, packages=made.packages)
