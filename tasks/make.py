"""Makes one package: builds it sealed, keeps the published build where it came out the same, otherwise proves and
publishes it under its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from release import oci
from release.digests import hex_of
from release.interfaces.interfaces import INTERFACES, BinaryInterface
from release.interfaces.interfaces import to_bytes as interfaces_bytes
from release.product.builds import ROOT, SOURCE, Build, Same, root_record
from release.product.standing import Standing, same_product
from release.source.specs import Package
from release.tools.builder import BuildOutput
from release.tools.rpm_reader import read_interfaces
from signing.attestations import Recipe, Run, provenance_statement
from signing.policy import Role
from signing.statements import PROVENANCE, Resource
from tasks.bench import Bench
from tasks.build import run_build, work_folder
from tasks.builds import keep_rpms, pull_rpms
from tasks.publish import blob_url, log_resource, publish_build, publish_log, publish_same
from tasks.sign import Claim
from tasks.want import Made, Ran, Wanted

if TYPE_CHECKING:
    from tasks.wiring import Tools


async def make(tools: Tools, bench: Bench, wanted: Wanted) -> Made:
    """Build a package. One that came out as it is published is thrown away, and the published build stands for the new
    key, too; any other is signed and published. A failed build's log is kept and linked."""
    repository = bench.tree.distro.rpms_repository
    with work_folder(tools, wanted.package.name, wanted.key) as work:
        started = tools.now()
        await pull_rpms(tools, repository, wanted.builds)
        inputs = {each.rpm.file: tools.store.path_of(each.rpm.digest) for each in wanted.inside}
        suffix = wanted.evr.removeprefix(wanted.package.evr)
        output = await run_build(tools, bench, wanted.package, inputs, work, suffix=suffix)
        interfaces = await read_interfaces(output.rpms)
        consumed = _consumed(wanted, output)
        log = await publish_log(tools, repository, output.log)
        proof = _Proof(tools, bench, wanted.package, output, started, log)
        if wanted.before and same_product(wanted.before.interfaces, interfaces):
            found = await _keep(tools, bench, wanted, wanted.before, consumed, proof)
        else:
            found = await _publish(tools, bench, wanted, output, interfaces, consumed, proof)
        seconds = round((tools.now() - started).total_seconds(), 2)
    url = blob_url(tools, repository, log.digest)
    ran = Ran(seconds=seconds, rpmbuild_seconds=round(output.rpmbuild_seconds, 2), log_url=url)
    return Made(wanted=wanted, standing=found, ran=ran)


def _consumed(wanted: Wanted, output: BuildOutput) -> Mapping[str, str]:
    """Of the packages that might have been in the build root those that were, as the build itself recorded them."""
    present = {each.header_digest for each in output.build_root}
    names = {each.name for each in wanted.inside if each.rpm.header_digest in present}
    return {name: digest for name, digest in wanted.root.items() if name in names}


class _Proof:
    """What is said about a build that ran: its recipe and its run, as provenance of whichever document it led to."""

    def __init__(
        self,
        tools: Tools,
        bench: Bench,
        package: Package,
        output: BuildOutput,
        started: datetime,
        log: oci.Descriptor,
    ) -> None:
        distro = bench.tree.distro
        self.log = log
        self._repository = distro.rpms_repository
        self._recipe = _recipe(tools, bench, package, output)
        self._run = Run(
            builder=f"{distro.identity}/builder",
            invocation=bench.invocation,
            started=started,
            finished=tools.now(),
            trust=tools.verifier.trust,
            log=log_resource(tools, distro.rpms_repository, log),
        )

    def claim(self, build: Build, subject: oci.Descriptor) -> Claim:
        """The claim that `build` was made so, about the document that stands for it."""
        statement = provenance_statement(build=build, manifest=subject.digest, recipe=self._recipe, run=self._run)
        return Claim(
            repository=self._repository,
            subject=subject,
            role=Role.BUILD,
            predicate_type=PROVENANCE,
            statement=statement,
        )


async def _publish(
    tools: Tools,
    bench: Bench,
    wanted: Wanted,
    output: BuildOutput,
    interfaces: Sequence[BinaryInterface],
    consumed: Mapping[str, str],
    proof: _Proof,
) -> Standing:
    paths = [*output.rpms, output.srpm]
    await (await tools.rpm_signer()).sign_rpms(paths)
    contents = {INTERFACES: interfaces_bytes(interfaces), ROOT: root_record(consumed)}
    for content in contents.values():
        tools.store.put_bytes(content)
    made = Build(
        package=wanted.package.name,
        evr=wanted.evr,
        arch=bench.arch,
        key=wanted.key,
        rpms=await keep_rpms(tools, paths),
        sources=_source_layers(tools, wanted.package),
        records=tuple(oci.blob(content, kind, title=_TITLES[kind]) for kind, content in contents.items()),
    )
    published = await publish_build(
        tools, bench.tree.distro, made, claim=lambda subject: proof.claim(made, subject), log=proof.log
    )
    return Standing(
        build=made, manifest=published.digest, interfaces=tuple(interfaces), consumed=tuple(sorted(consumed))
    )


async def _keep(
    tools: Tools, bench: Bench, wanted: Wanted, before: Standing, consumed: Mapping[str, str], proof: _Proof
) -> Standing:
    """Its RPMs are those that consumers have already: nothing new is signed, uploaded or installed by anybody."""
    root = root_record(consumed)
    same = Same(
        package=wanted.package.name,
        arch=bench.arch,
        key=wanted.key,
        build=before.manifest,
        root=oci.blob(root, ROOT, title=_TITLES[ROOT]),
    )
    nothing = Build(package=same.package, evr=before.build.evr, arch=same.arch, key=same.key, rpms=())
    await publish_same(
        tools, bench.tree.distro, same, root=root, claim=lambda subject: proof.claim(nothing, subject), log=proof.log
    )
    return Standing(
        build=before.build, manifest=before.manifest, interfaces=before.interfaces, consumed=tuple(sorted(consumed))
    )


_TITLES = {INTERFACES: "interfaces.json", ROOT: "build-root.json"}


def _source_layers(tools: Tools, package: Package) -> tuple[oci.Descriptor, ...]:
    return tuple(
        oci.Descriptor(
            media_type=SOURCE,
            digest=str(source.digest),
            size=tools.store.path_of(str(source.digest)).stat().st_size,
            annotations={oci.TITLE: source.file},
        )
        for source in package.pinned
    )


def _recipe(tools: Tools, bench: Bench, package: Package, output: BuildOutput) -> Recipe:
    tree = bench.tree
    return Recipe(
        repository=tools.repository_uri,
        ref=tree.distro.branch,
        commit=tree.commit.sha,
        spec=package.spec,
        sources=tuple(
            Resource(uri=source.url or source.file, digests={"sha256": str(source.sha256)}, name=source.file)
            for source in package.pinned
        ),
        build_root=tuple(
            Resource(
                uri=_purl(each.nevra, namespace=tree.distro.name),
                digests={"sha256": each.header_digest},
                name=each.nevra,
            )
            for each in output.build_root
        ),
        image=Resource(uri=bench.toolchain.image, digests={"sha256": hex_of(bench.toolchain.digest)}),
    )


def _purl(nevra: str, *, namespace: str) -> str:
    """`name-[epoch:]version-release.arch` as a package URL (purl-spec, types/rpm)."""
    package, _, arch = nevra.rpartition(".")
    name, version, release = package.rsplit("-", 2)
    epoch, _, version = version.rpartition(":")
    qualifiers = urlencode({"arch": arch} | ({"epoch": epoch} if epoch else {}))
    return f"pkg:rpm/{namespace}/{quote(name, safe='')}@{quote(f'{version}-{release}', safe='~')}?{qualifiers}"
