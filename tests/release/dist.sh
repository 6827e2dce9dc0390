#!/bin/sh
# Builds what is released into $1 and tries each of them in a clean place, where it has to deliver a case. The tarball is built
# a second time, from a copy of the sources elsewhere, and has to be the same. PROFILE: dist (default), or dev for a quick look.
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."
root=$(pwd)
PROFILE=${PROFILE:-dist}
cargo=${CARGO:-cargo}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
CARGO_TARGET_DIR=${DIST_TARGET_DIR:-$root/target/dist-build}
export PROFILE SOURCE_DATE_EPOCH CARGO_TARGET_DIR
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
clean=$(mktemp -d)
server=
trap 'rm -rf "$clean"; [ -z "$server" ] || kill "$server"' EXIT
rm -rf "${out:?}"/*

# The README's own connector, and its case system.
python3 tests/release/tickets.py >"$clean/service" &
server=$!
until [ -s "$clean/service" ]; do sleep 0.1; done
python3 - "$clean" <<'END'
import re, sys
from pathlib import Path
clean = Path(sys.argv[1])
text = re.search(r"```json\n(.*?)```", Path("README.md").read_text(), re.S)[1]
(clean / "connector.json").write_text(text.replace("https://tickets.example.com", (clean / "service").read_text().strip()))
END
delivered() { grep "^push 1 is delivered: http://127.0.0.1:[0-9]*/tickets/"; }

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
    let status = agent.wait(push, std::time::Duration::from_secs(60))?;
    println!("push {push} is {}: {}", status.state, status.external_url.unwrap_or_default());
    Ok(())
}
END
cp Cargo.lock "$clean/host/Cargo.lock"
(cd "$clean/host" && $cargo run -q -- "$clean/connector.json") | delivered

echo "== the C library"
sh tests/release/c_tarball.sh "$out"
mkdir "$clean/again" "$clean/elsewhere"
git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -cf - | tar -xf - -C "$clean/again"
CARGO_TARGET_DIR=$clean/again/target sh "$clean/again/tests/release/c_tarball.sh" "$clean/elsewhere"
rm -rf "$clean/again"
tarball=casehook-c-$version-$(uname -m)-linux.tar.gz
if ! cmp "$out/$tarball" "$clean/elsewhere/$tarball"; then
    mkdir "$clean/one" "$clean/two"
    tar -xzf "$out/$tarball" -C "$clean/one"
    tar -xzf "$clean/elsewhere/$tarball" -C "$clean/two"
    diff -rq "$clean/one" "$clean/two" || true
    echo "two builds of $tarball differ" >&2
    exit 1
fi
echo "two builds of $tarball are equal"
tar -xzf "$clean/elsewhere/$tarball" -C "$clean/elsewhere"
(
    cd "$clean/elsewhere/${tarball%.tar.gz}"
    sha256sum --quiet -c SHA256SUMS
    PKG_CONFIG_PATH=$(pwd)/lib/pkgconfig
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2046 # lists of words
    cc examples/push.c $(pkg-config --cflags --libs casehook) -Wl,-rpath,"$(pwd)/lib" -o shared
    # shellcheck disable=SC2046
    cc examples/push.c $(pkg-config --cflags casehook) $(pkg-config --variable=static casehook) -o static
    for program in shared static; do
        mkdir "$program-db"
        "./$program" "$program-db/cases.db" "$clean/connector.json" "Disk full" | delivered
    done
)

echo "== the Python package"
python3 -m venv "$clean/tools"
"$clean/tools/bin/pip" install -q --disable-pip-version-check 'maturin>=1.16,<2'
RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$CARGO_TARGET_DIR=target --remap-path-prefix=$root=casehook --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
export RUSTFLAGS
PATH="$clean/tools/bin:$PATH" maturin build -q --profile "$PROFILE" -m bindings/python/Cargo.toml -o "$out"
PATH="$clean/tools/bin:$PATH" maturin sdist -m bindings/python/Cargo.toml -o "$out"
for package in "$out"/casehook-*.whl "$out"/casehook-"$version".tar.gz; do
    rm -rf "$clean/venv"
    python3 -m venv "$clean/venv"
    MATURIN_PEP517_ARGS="--profile $PROFILE" "$clean/venv/bin/pip" install -q --disable-pip-version-check "$package"
    (
        cd "$(mktemp -d -p "$clean")"
        "$clean/venv/bin/python" -W error - "$clean/connector.json" "$version" <<'END'
import sys
import casehook

assert casehook.__version__ == sys.argv[2]
with casehook.Agent("cases.db") as agent:
    with open(sys.argv[1], encoding="utf-8") as document:
        agent.configure("tracker", document.read())
    push = agent.push("tracker", title="Disk full")
    status = agent.wait(push, timeout=60)
    print(f"push {push} is {status.state}: {status.external_url}")
END
        "$clean/venv/bin/python" -m casehook --version
    ) | delivered
done

(cd "$out" && sha256sum -- * >SHA256SUMS)
cat "$out/SHA256SUMS"
