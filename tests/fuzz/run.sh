#!/bin/sh
# Runs fuzz targets: ./run.sh [SECONDS [TARGET...]]. Begins with the corpus that the tests make; what is found that does
# harm lands in artifacts/TARGET and belongs into regressions/TARGET once it is mended.
set -eu
cd "$(dirname "$0")"
seconds=${1:-600}
[ $# -gt 0 ] && shift
targets=${*:-template path connector case settings answer http keys database import mask proxy token c}
command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: cargo install cargo-fuzz --locked" >&2; exit 1; }
cargo +nightly --version >/dev/null 2>&1 || { echo "a nightly compiler is missing: rustup toolchain install nightly" >&2; exit 1; }
CASEHOOK_WRITE_CORPUS="$PWD/corpus" cargo test -q --manifest-path ../../Cargo.toml --features cli --lib fuzzing::corpus::the_corpus
cargo +nightly fuzz build --fuzz-dir . -O --debug-assertions
for target in $targets; do
    echo "== $target, $seconds s"
    cargo +nightly fuzz run --fuzz-dir . -O --debug-assertions "$target" -- \
        -max_total_time="$seconds" -timeout=25 -rss_limit_mb=2048 -max_len=131072 -print_final_stats=1
done
