#!/bin/sh
# A consumer of Skiff Linux, who has docker and nothing of Slipway's. Each check prints one line; the first failure ends it.
#
#   consume.sh image   build an image FROM the base image with a package from the release's own repository, and run it
#   consume.sh host    start a host that follows the channel through the gateway
#   consume.sh update  update that host, and show what it got
#   consume.sh verify  check the signature of every package in the host's cache, then of the image with cosign
#   consume.sh end     remove the host and the images
#
# REGISTRY  host:port of the registry          CHANNEL  the channel to follow (stable)
# COSIGN    path of cosign 3, empty without    ROOT     trusted_root.json of the installation
# IDENTITY, ISSUER  who must have signed       NAME     prefix of container and image names
set -eu
: "${REGISTRY:?}" "${CHANNEL:=stable}" "${NAME:=slipway-demo}" "${COSIGN:=}"
here=$(dirname "$0")
base=$REGISTRY/skiff/base:$CHANNEL

# Run a command; show what it said only when it fails.
quietly() { said=$("$@" 2>&1) || { echo "$said" >&2; exit 1; }; }

in_host() { docker exec "$NAME-host" "$@"; }

image() {
    docker pull -q "$base" >/dev/null
    quietly docker build --network host --no-cache --build-arg "BASE=$base" -t "$NAME-image" "$here"
    docker run --rm --network none "$NAME-image"
    echo "ok: built FROM $base, installed from the same registry with gpgcheck=1, ran"
}

host() {
    docker rm -f "$NAME-host" >/dev/null 2>&1 || true
    docker pull -q "$base" >/dev/null
    docker run -d --network host --name "$NAME-host" "$base" sleep infinity >/dev/null
    # From here on the host follows the channel, not the release that its image belongs to.
    in_host rm -f /etc/yum.repos.d/skiff-release.repo
    in_host sed -i 's/^enabled=0/enabled=1/' /etc/yum.repos.d/skiff.repo
    quietly in_host dnf -y --setopt=keepcache=1 install lua tree
    echo "ok: a host follows $CHANNEL through the gateway with repo_gpgcheck=1: $(in_host rpm -q lua)"
}

update() {
    before=$(in_host rpm -q lua)
    probe='local _ENV <const> = 11; X = 1' # CVE-2022-28805: the unpatched compiler reads a wrong register
    told_before=$(in_host lua -e "$probe" 2>&1 | head -1 || true)
    quietly in_host dnf -y --refresh --setopt=keepcache=1 upgrade
    after=$(in_host rpm -q lua)
    [ "$before" != "$after" ] || { echo "no update: still $before" >&2; exit 1; }
    told_after=$(in_host lua -e "$probe" 2>&1 | head -1 || true)
    [ "$told_before" != "$told_after" ] || { echo "lua still says: $told_after" >&2; exit 1; }
    echo "ok: the host got the update: $before -> $after"
    echo "ok: the fix works: lua said '${told_before##*attempt}', says '${told_after##*attempt}'"
}

verify() {
    in_host rpm --import /etc/pki/rpm-gpg/RPM-GPG-KEY-skiff
    packages=$(in_host find /var/cache/dnf -name '*.rpm')
    [ -n "$packages" ] || { echo "the host has downloaded no package to check" >&2; exit 1; }
    # shellcheck disable=SC2086 # one word each: names of RPM files have no spaces
    said=$(in_host rpmkeys -K --define '_pkgverify_level all' $packages) || { echo "$said" >&2; exit 1; }
    echo "$said" | sed 's|.*/||'
    echo "ok: rpmkeys -K with _pkgverify_level all"
    if [ -z "$COSIGN" ]; then
        echo "skipped: cosign is not at hand, so the image's signature was not checked here"
        return
    fi
    "$COSIGN" verify --trusted-root "$ROOT" --certificate-identity "$IDENTITY" \
        --certificate-oidc-issuer "$ISSUER" "$base" >/dev/null 2>&1 || { echo "cosign refuses $base" >&2; exit 1; }
    echo "ok: cosign verify $base"
}

end() {
    docker rm -f "$NAME-host" >/dev/null 2>&1 || true
    docker rmi -f "$NAME-image" >/dev/null 2>&1 || true
}

case ${1:-} in image | host | update | verify | end) "$1" ;; *) sed -n '2,12p' "$0" >&2; exit 2 ;; esac
