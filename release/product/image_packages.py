"""The packages inside one image: what rpm says of each, what scanners call it, and when the newest was built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from release.errors import Refused
from release.product.builds import Build


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePackage:
    """One RPM of an image. `file` and `digest` are of the signed file; `header_digest` (hex) is as in `builds.Rpm`.

    `build_time` is in seconds since 1970 and `size` in bytes when installed; texts that a package does not have are
    empty.
    """

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    summary: str
    license: str
    vendor: str
    url: str
    source_rpm: str
    build_time: int
    size: int
    file: str
    digest: str
    header_digest: str

    @property
    def evr(self) -> str:
        """`[epoch:]version-release`; the epoch only when it is not zero."""
        return f"{self.epoch}:{self.version}-{self.release}" if self.epoch else f"{self.version}-{self.release}"

    @property
    def nevra(self) -> str:
        """`name-[epoch:]version-release.arch`: one installed package, by name."""
        return f"{self.name}-{self.evr}.{self.arch}"

    def purl(self, *, namespace: str, distro: str) -> str:
        """Package URL (purl-spec, types/rpm): the name by which scanners look up advisories. `distro` is
        os-release's `ID-VERSION_ID`."""
        qualifiers = {"arch": self.arch, "distro": distro}
        if self.epoch:
            qualifiers["epoch"] = str(self.epoch)
        if self.source_rpm:
            qualifiers["upstream"] = self.source_rpm
        version = quote(f"{self.version}-{self.release}", safe="~")
        path = "/".join(quote(part, safe="") for part in (namespace, self.name))
        return f"pkg:rpm/{path}@{version}?{urlencode(sorted(qualifiers.items()), quote_via=quote)}"


def image_epoch(packages: Iterable[ImagePackage]) -> int:
    """The time an image claims to be from: the build time of its newest package, in seconds since 1970.

    Not the time of the commit or of the run: an image is a function of its packages, so a commit that changes none of
    them gives the same layer, the same configuration and the same digest, and nothing is pushed, signed or pulled
    again. Build times come from SOURCE_DATE_EPOCH, so a rebuild from scratch gives the same image, too.
    """
    times = [package.build_time for package in packages]
    if not times:
        raise Refused("an image has no packages", expected="at least one package in the definition's lists")
    return max(times)


def builds_in(packages: Iterable[ImagePackage], builds: Iterable[Build]) -> dict[str, Build]:
    """The build of each package, by the RPM file's digest. `Refused` when a package is in no build: whatever lies in
    an image must come from the snapshot that the release names."""
    known = {rpm.digest: build for build in builds for rpm in build.rpms}
    wanted = sorted(packages, key=lambda package: package.nevra)
    strangers = [package.nevra for package in wanted if package.digest not in known]
    if strangers:
        raise Refused(
            "packages of the image are not in the snapshot", got=", ".join(strangers), expected="builds of the release"
        )
    return {package.digest: known[package.digest] for package in wanted}
