# One command each; each says what it lacks. `make` alone lists them.

CARGO ?= cargo
FEATURES := --features cli
# How `make install` builds: dist, or slim for a smaller library.
PROFILE ?= dist
PYTHON_ENV := $(abspath $(or $(CARGO_TARGET_DIR),target))/python
export PREFIX DESTDIR LIBDIR
.DEFAULT_GOAL := help
.PHONY: help demo test test-rust test-python test-postgres bench-postgres torture nightly bench bench-instructions check live \
	live-net header install \
	needs-rust needs-lint needs-python needs-venv

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: needs-rust ## watch cases wait for a case system that is down, and arrive when it is up
	@$(CARGO) run -q $(FEATURES) -- demo

test: test-rust test-python test-postgres ## every test that needs nothing but this machine, documentation examples included

test-rust: needs-rust
	$(CARGO) test --workspace $(FEATURES) $(NO_FAIL_FAST)

test-postgres: needs-rust ## the store in PostgreSQL, on a server of the tests' own (skipped where PostgreSQL is not installed)
	$(CARGO) test -p casehook --features cli,postgres $(NO_FAIL_FAST) --lib store::postgres
	$(CARGO) test -p casehook --features cli,postgres $(NO_FAIL_FAST) --test postgres

bench-postgres: needs-rust ## pushes, deliveries and claims in PostgreSQL against its own commits (needs PostgreSQL and pgbench)
	$(CARGO) test -q -p casehook --features cli,postgres --test postgres -- --ignored --nocapture figures

# A virtual environment of its own, and in it the package as it is installed, not as it lies in the source tree.
test-python: needs-rust $(PYTHON_ENV)/ready
	rm -rf $(PYTHON_ENV)/wheels
	CARGO="$(firstword $(CARGO))" $(PYTHON_ENV)/bin/maturin build -q --profile dev -m bindings/python/Cargo.toml -o $(PYTHON_ENV)/wheels
	$(PYTHON_ENV)/bin/python -m pip install -q --force-reinstall --no-deps $(PYTHON_ENV)/wheels/*.whl
	cd bindings/python && $(PYTHON_ENV)/bin/python -m pytest -W error --timeout 300 --doctest-modules --pyargs casehook tests

$(PYTHON_ENV)/ready: bindings/python/tests/requirements.txt | needs-venv
	rm -rf $(PYTHON_ENV)
	python3 -m venv $(PYTHON_ENV)
	$(PYTHON_ENV)/bin/python -m pip install -q --disable-pip-version-check -r bindings/python/tests/requirements.txt
	touch $@

torture: needs-rust ## kill a delivering process 10,000 times (about 10 minutes; CASEHOOK_CRASH_KILLS says how often) and count
	CASEHOOK_CRASH_KILLS=$${CASEHOOK_CRASH_KILLS:-10000} $(CARGO) test -q --test crash -- --nocapture nothing_is_lost

nightly: torture ## torture and the other tests in their big sizes (about an hour)
	CASEHOOK_FAULTS=$${CASEHOOK_FAULTS:-500} CASEHOOK_KILLS=$${CASEHOOK_KILLS:-1000} CASEHOOK_CUTS=$${CASEHOOK_CUTS:-all} \
		$(CARGO) test -q --test faults --test network_faults -- --nocapture
	PROPTEST_CASES=$${PROPTEST_CASES:-5000} $(CARGO) test -q --lib drain::tests::model

check: needs-rust needs-lint needs-python ## formatting, lints and documentation, warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --all-features
	$(CARGO) test -q -p casehook-c --test header

live: needs-rust needs-python live-net ## deliver to a real Redmine (Debian: installs its packages as root), restarted in the middle, and live-net
	python3 tests/live/redmine.py --casehook "$$($(CARGO) metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug/casehook"

live-net: needs-rust needs-python ## go through real nginx, squid, tinyproxy, microsocks and dante on this machine (Debian: installs them as root)
	$(CARGO) build $(FEATURES)
	python3 tests/live/net/net.py --casehook "$$($(CARGO) metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug/casehook"

bench: needs-rust ## figures as ratios of interleaved rounds, also in target/bench.json (a release build; some minutes)
	$(CARGO) bench -q --bench outbox
	$(CARGO) test --release -q -p casehook --lib transport::tests::ratios -- --ignored --nocapture

bench-instructions: needs-rust needs-python ## instructions of a push and of a delivery, against benches/instructions.json (needs valgrind)
	$(CARGO) bench -q --bench outbox --no-run
	python3 benches/instructions.py --cargo "$(firstword $(CARGO))"

header: needs-rust ## make include/casehook.h from the sources in bindings/c
	CASEHOOK_WRITE_HEADER=1 $(CARGO) test -q -p casehook-c --test header the_header_is_current

install: needs-rust ## the C library, its header and casehook.pc, to PREFIX (/usr/local), LIBDIR, DESTDIR
	$(CARGO) build -p casehook-c --profile $(PROFILE)
	sh bindings/c/install.sh "$$($(CARGO) metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/$(PROFILE)"

needs-rust:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust from https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "a C compiler is missing (SQLite is built from source): apt-get install gcc libc6-dev, or your system's equivalent" >&2; exit 1; }

needs-lint:
	@$(CARGO) fmt --version >/dev/null 2>&1 || { echo "rustfmt is missing: rustup component add rustfmt" >&2; exit 1; }
	@$(CARGO) clippy --version >/dev/null 2>&1 || { echo "clippy is missing: rustup component add clippy" >&2; exit 1; }

needs-python:
	@command -v python3 >/dev/null || { echo "python3 is missing: apt-get install python3, or your system's equivalent" >&2; exit 1; }

needs-venv: needs-python
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "python3 is too old: the Python package needs 3.10 or newer" >&2; exit 1; }
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv is missing: apt-get install python3-venv, or your system's equivalent" >&2; exit 1; }
