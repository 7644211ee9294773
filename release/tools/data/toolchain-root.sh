#!/bin/sh
# Installs every RPM of the toolchain set into an empty root and packs it, with the host's own rpm and tar (their /usr
# is mounted read-only), inside a sealed container: the packages' scripts never run on the host, and nobody need be
# root there.
set -eu
root=/toolchain
database=/usr/lib/sysimage/rpm
mkdir -p $root/dev /out
mknod -m 666 $root/dev/null c 1 3
rpm --root $root --define "_dbpath $database" --define '_db_backend sqlite' --define '_install_langs C' \
    --excludedocs --install /in/rpms/*.rpm
# The database belongs where the root's own rpm will look for it.
own=$(chroot $root rpm --eval '%{_dbpath}')
if [ "$own" != $database ]; then
    mkdir -p "$root$own"
    mv $root$database/* "$root$own"
fi
# No script of Debian's compiles Python here, and dnf would do it again in every container.
for python in $root/usr/lib/python3 $root/usr/lib/python3.*; do
    if [ -d "$python" ]; then
        chroot $root python3 -m compileall -q --invalidation-mode unchecked-hash "${python#"$root"}"
    fi
done
rm $root/dev/null
tar --create --file /out/root.tar --directory $root .
