#!/bin/sh
# Builds what is released into $1 and tries each of them in a clean place. PROFILE: dist (default), or dev for a quick look.
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."
root=$(pwd)
profile=${PROFILE:-dist}
cargo=${CARGO:-cargo}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
# Paths of this machine have no place in what is built.
RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$root=casehook --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
export RUSTFLAGS
CARGO_TARGET_DIR=${DIST_TARGET_DIR:-$root/target/dist-build}
export CARGO_TARGET_DIR
case $profile in dev) built=$CARGO_TARGET_DIR/debug ;; *) built=$CARGO_TARGET_DIR/$profile ;; esac
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT
rm -f "$out"/*

echo "== the crate"
$cargo package -q -p casehook --no-verify --allow-dirty
cp "$CARGO_TARGET_DIR/package/casehook-$version.crate" "$out/"
tar -xzf "$out/casehook-$version.crate" -C "$clean"
mkdir -p "$clean/host/src"
cat >"$clean/host/Cargo.toml" <<END
[package]
name = "host"
version = "0.0.0"
edition = "2024"
[dependencies]
casehook = { path = "../casehook-$version" }
[workspace]
END
cat >"$clean/host/src/main.rs" <<'END'
use casehook::{Agent, Case, Connector, Options};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let agent = Agent::open("cases.db", Options::new())?;
    let document = std::fs::read_to_string(std::env::args().nth(1).ok_or("no connector")?)?;
    agent.configure("tracker", &Connector::from_json(&document)?)?;
    let push = agent.push("tracker", &Case::new("Disk full").id("host-7/disk"))?;
    println!("push {push} is {}", agent.status(push)?.state);
    Ok(())
}
END
# The README's own connector; nobody listens, and nothing is waited for.
python3 - "$clean/connector.json" <<'END'
import re, sys
text = re.search(r"```json\n(.*?)```", open("README.md").read(), re.S)[1]
open(sys.argv[1], "w").write(text.replace("https://tickets.example.com", "http://127.0.0.1:9"))
END
cp Cargo.lock "$clean/host/Cargo.lock"
(cd "$clean/host" && $cargo run -q -- "$clean/connector.json") | grep -E '^push 1 is (queued|sending|waiting)$'

echo "== the C library"
$cargo build -q -p casehook-c --profile "$profile"
name=casehook-c-$version-$(uname -m)-linux
stage=$clean/$name
mkdir -p "$stage/examples"
PREFIX=/usr DESTDIR="$clean/root" LIBDIR=/usr/lib sh bindings/c/install.sh "$built"
cp -R "$clean/root/usr/include" "$clean/root/usr/lib" "$stage/"
# To be unpacked anywhere.
sed -i 's|^prefix=.*|prefix=${pcfiledir}/../..|; s|^libdir=.*|libdir=${prefix}/lib|' "$stage/lib/pkgconfig/casehook.pc"
cp bindings/c/examples/*.c "$stage/examples/"
cp bindings/c/README.md LICENSE CHANGELOG.md "$stage/"
$cargo tree -q -p casehook-c -e normal --prefix none -f '{p}  {l}' | sed "s| ($root[^)]*)||; s| (\*)||" |
    LC_ALL=C sort -u >"$stage/THIRD-PARTY.txt"
(cd "$stage" && find . -type f | LC_ALL=C sort | sed 's|^\./||' | xargs sha256sum >"$clean/sums" && mv "$clean/sums" SHA256SUMS)
tar -C "$clean" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    --mode=u+rw,go=rX,a-s --format=gnu -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
mkdir "$clean/elsewhere" && tar -xzf "$out/$name.tar.gz" -C "$clean/elsewhere"
(
    cd "$clean/elsewhere/$name"
    sha256sum --quiet -c SHA256SUMS
    PKG_CONFIG_PATH=$(pwd)/lib/pkgconfig
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2046 # lists of words
    cc examples/push.c $(pkg-config --cflags --libs casehook) -Wl,-rpath,"$(pwd)/lib" -o shared
    # shellcheck disable=SC2046
    cc examples/push.c $(pkg-config --cflags casehook) lib/libcasehook.a \
        $(pkg-config --libs-only-l --static casehook | sed 's/-lcasehook//') -o static
    for program in ./shared ./static; do
        "$program" 2>&1 | grep '^usage: push'
    done
)

echo "== the Python package"
python3 -m venv "$clean/tools"
"$clean/tools/bin/pip" install -q --disable-pip-version-check 'maturin>=1.16,<2'
PATH="$clean/tools/bin:$PATH" maturin build -q --profile "$profile" -m bindings/python/Cargo.toml -o "$out"
PATH="$clean/tools/bin:$PATH" maturin sdist -m bindings/python/Cargo.toml -o "$out"
for package in "$out"/casehook-*.whl "$out"/casehook-*.tar.gz; do
    rm -rf "$clean/venv"
    python3 -m venv "$clean/venv"
    MATURIN_PEP517_ARGS="--profile $profile" "$clean/venv/bin/pip" install -q --disable-pip-version-check "$package"
    (
        cd "$(mktemp -d -p "$clean")"
        "$clean/venv/bin/python" -W error - "$clean/connector.json" "$version" <<'END'
import sys
import casehook

assert casehook.__version__ == sys.argv[2]
with casehook.Agent("cases.db") as agent:
    with open(sys.argv[1], encoding="utf-8") as document:
        agent.configure("tracker", document.read())
    print(agent.status(agent.push("tracker", title="Disk full")).state)
END
    ) | grep -E '^(queued|sending|waiting)$'
done

(cd "$out" && sha256sum -- * >SHA256SUMS)
cat "$out/SHA256SUMS"
