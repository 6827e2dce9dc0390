#!/bin/sh
# Builds the C library and packs it: the header, the libraries, what finds them, examples, licences, checksums. Puts the tarball
# into $1. From the environment: PROFILE, CARGO_TARGET_DIR, SOURCE_DATE_EPOCH. The same sources give the same tarball, wherever
# they lie.
set -eu
out=$1
cd "$(dirname "$0")/../.."
root=$(pwd)
cargo_home=${CARGO_HOME:-$HOME/.cargo}
# Paths of this machine have no place in what is built.
RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$CARGO_TARGET_DIR=target --remap-path-prefix=$root=casehook --remap-path-prefix=$cargo_home=cargo"
CFLAGS="${CFLAGS:-} -ffile-prefix-map=$CARGO_TARGET_DIR=target -ffile-prefix-map=$root=casehook -ffile-prefix-map=$cargo_home=cargo"
export RUSTFLAGS CFLAGS CARGO_INCREMENTAL=0
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
name=casehook-c-$version-$(uname -m)-linux
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# Without what only a new glibc can load.
make --no-print-directory -s install PROFILE="$PROFILE" PREFIX=/usr LIBDIR=/usr/lib DESTDIR="$place/root" RELR=
stage=$place/$name
mkdir -p "$stage/examples"
cp -R "$place/root/usr/." "$stage/"
# To be unpacked anywhere.
sed -i 's|^prefix=.*|prefix=${pcfiledir}/../..|; s|^libdir=.*|libdir=${prefix}/lib|' "$stage/lib/pkgconfig/casehook.pc"
cp bindings/c/examples/*.c "$stage/examples/"
cp bindings/c/README.md LICENSE CHANGELOG.md "$stage/"
python3 tests/release/third_party.py casehook-c >"$stage/THIRD-PARTY.txt"
(
    cd "$stage"
    find . -type f | LC_ALL=C sort | sed 's|^\./||' | xargs sha256sum >"$place/sums"
    mv "$place/sums" SHA256SUMS
)
tar -C "$place" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    --mode=u+rw,go=rX,a-s --format=gnu -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
