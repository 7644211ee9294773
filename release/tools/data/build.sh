#!/bin/bash
# One package from its spec to its RPMs, in a sealed container without a network. Root installs what the spec asks for
# and hands over; nobody in particular, without any capability, builds. What comes out is what the spec names.
#
#   /in/spec /in/sources /in/repositories/N /in/toolchain /in/macros/N   inputs, read-only
#   /in/order   build-requires.spec, dnf.conf, defines (one "name value" a line)
#   /build /tmp /var/tmp   scratch, bounded; the builder can write here and nowhere else
#   /out   RPMs and SRPM, once they are all there
#   /facts   packages (NEVRA and header digest of the build root), expected (names of RPMs), nanoseconds (of rpmbuild),
#            refused (forks)
#
# SPEC, EPOCH, ARCH, JOBS and SUFFIX (of the release, or empty) come as environment. Exit codes: 80 a missing program,
# 81 the build root, 82 the build.
set -Eeuo pipefail
exec 2>&1 # one stream, so that the log keeps the order in which things happened
shopt -s extglob nullglob
readonly builder=1000
mkdir -p /facts /out /in/macros

# What the spec asks for becomes the dependencies of one package: rpm answers whether all of it is there, and only if
# not is dnf asked. Own packages take the place of the toolchain's namesakes, whatever their versions.
build_root() {
    if [ "$(rpm --eval %_target_cpu)" != "$ARCH" ]; then
        echo "this engine builds for $(rpm --eval %_target_cpu), not for $ARCH"
        return 1
    fi
    rpmbuild -bb --quiet --define '_topdir /build/requires' --define '_rpmfilename requires.rpm' \
        /in/order/build-requires.spec
    local wish=/build/requires/RPMS/requires.rpm own
    mapfile -t own < <(namesakes)
    if [ ${#own[@]} -gt 0 ] || ! rpm --install --test "$wish" > /dev/null 2>&1; then
        dnf --config /in/order/dnf.conf --releasever stage0 --quiet --assumeyes install "$wish" "${own[@]}"
        rpm --erase slipway-build-requires 2> /dev/null
    fi
    rm -r /build/requires
    rpm -qa --qf '%{NEVRA} %{SHA256HEADER}\n' | sort > /facts/packages
}

# Files of own packages whose names are installed.
namesakes() {
    local own=(/in/repositories/*/!(*.src).rpm)
    if [ ${#own[@]} -gt 0 ]; then
        paste -d ' ' <(rpm -qp --qf '%{NAME}\n' "${own[@]}") <(printf '%s\n' "${own[@]}") | sort |
            join -o 1.2 - <(rpm -qa --qf '%{NAME}\n' | sort -u)
    fi
}

macros() {
    local file line
    for file in /build/macros/*; do
        printf '%s\0' --load "$file"
    done
    while IFS= read -r line; do
        printf '%s\0' --define "$line"
    done < /in/order/defines
}

# Copies, because the builder could not read the files of a careful umask, and must be able to write beside them.
prepare() {
    mkdir -p /build/BUILD /build/SOURCES /build/home /build/macros
    find /in/sources /in/spec -maxdepth 1 -type f -exec cp --no-preserve=all -t /build/SOURCES {} +
    find /in/macros -maxdepth 1 -type f -exec cp --no-preserve=all -t /build/macros {} +
    # A tag stands at the start of a line and ends with it (rpm 4.18, build/parsePreamble.c).
    if [ -n "$SUFFIX" ]; then
        sed -i -E "s/^([[:space:]]*Release[[:space:]]*:.*[^[:space:]])[[:space:]]*$/\\1$SUFFIX/I" "/build/SOURCES/$SPEC"
    fi
    chown -R $builder:$builder /build
}

# Run as the builder: another user, no capability to have or to gain, an environment made here.
as_builder() {
    setpriv --reuid $builder --regid $builder --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs -- \
        env --ignore-environment --chdir /build \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/build/home TMPDIR=/tmp LC_ALL=C.UTF-8 \
        TZ=UTC SOURCE_DATE_EPOCH="$EPOCH" RPM_BUILD_NCPUS="$JOBS" "$@"
}

build() {
    local words spec="/build/SOURCES/$SPEC" name='%{NAME}-%{VERSION}-%{RELEASE}' started code=0
    mapfile -d '' -t words < <(macros)
    {
        as_builder rpmspec -q --srpm "${words[@]}" --qf "$name.src.rpm\n" "$spec"
        as_builder rpmspec -q --builtrpms "${words[@]}" --qf "$name.%{ARCH}.rpm\n" "$spec"
    } > /facts/expected || return
    if grep --quiet --invert-match --fixed-strings -- "$SUFFIX." /facts/expected; then
        echo "the release of a package of $SPEC cannot be given the suffix $SUFFIX: let each Release be a line of its own"
        return 1
    fi
    started=$(date +%s%N)
    as_builder rpmbuild -ba "${words[@]}" "$spec" || code=$?
    echo $(($(date +%s%N) - started)) > /facts/nanoseconds
    as_builder bash -c 'kill -KILL -1' || true # whatever it left running, before its files are looked at
    return $code
}

# The spec was reviewed, what it builds was not: code of an upstream must not add packages of its own to a release.
publish() {
    local file
    for file in /build/RPMS/*.rpm /build/SRPMS/*.rpm; do
        if ! grep --quiet --fixed-strings --line-regexp "${file##*/}" /facts/expected || [ -L "$file" ]; then
            echo "${file##*/}: the build made a package that its spec does not name"
            return 1
        fi
        cp "$file" /out/
    done
}

# How often the limit of processes refused a fork: cgroup v2, or v1 below its own folder.
refused_forks() {
    cat /sys/fs/cgroup/pids.events /sys/fs/cgroup/pids/pids.events 2> /dev/null | sed -n 's/^max //p'
}

for program in dnf find join rpmbuild setpriv sort; do
    if ! command -v $program > /dev/null; then
        echo "$program: not in the build root"
        exit 80
    fi
done
trap 'exit 81' ERR
build_root
prepare
trap - ERR
code=0
{ build && publish; } || code=82
refused_forks > /facts/refused || true
exit $code
