"""One small image in all its parts: packages, the builds they come from, layers, what it says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from release import oci
from release.digests import digest_of
from release.product.builds import SOURCE, Build, Rpm
from release.product.image_packages import ImagePackage
from release.product.images import About, Layer

EPOCH = 1_700_000_000
ABOUT = About(
    title="Skiff base",
    description="A small root with a package manager",
    version="1.0",
    vendor="Skiff Project",
    url="https://slipway.example/skiff",
    licenses="Apache-2.0",
    source="https://git.example/skiff",
)
LAYER = Layer(diff_id=digest_of(b"plain"), digest=digest_of(b"packed"), size=6)
SMALL_LAYER = Layer(diff_id=digest_of(b"plain repo"), digest=digest_of(b"packed repo"), size=11)


def package(name: str, **more: Any) -> ImagePackage:
    """A package whose files exist nowhere."""
    return replace(
        ImagePackage(
            name=name,
            epoch=0,
            version="1.3",
            release="2.sk1",
            arch="x86_64",
            summary=f"The {name} package",
            license="MIT",
            vendor="Skiff Project",
            url=f"https://{name}.example",
            source_rpm=f"{name}-1.3-2.sk1.src.rpm",
            build_time=EPOCH,
            size=1000,
            file=f"{name}-1.3-2.sk1.x86_64.rpm",
            digest=digest_of(name.encode()),
            header_digest=digest_of(name.encode())[7:],
        ),
        **more,
    )


def build(*packages: ImagePackage, origin: str = "spec", sources: tuple[str, ...] = ()) -> Build:
    """The build that made some packages."""
    first = packages[0]
    return Build(
        package=first.name,
        evr=first.evr,
        arch=first.arch,
        key=digest_of(first.nevra.encode()),
        rpms=tuple(Rpm(file=p.file, digest=p.digest, size=10, header_digest=p.header_digest) for p in packages),
        sources=tuple(oci.blob(title.encode(), SOURCE, title=title) for title in sources),
        origin=origin,
    )
