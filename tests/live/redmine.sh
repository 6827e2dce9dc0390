#!/usr/bin/env bash
# A real Redmine from Debian's packages, on loopback. Used by redmine.py; by hand:
#   redmine.sh install              packages (needs root where they are missing)
#   redmine.sh prepare DIR          a seeded database in DIR (the seed is made once and kept in DIR/../redmine-seed)
#   redmine.sh start DIR PORT       serve it on 127.0.0.1:PORT; returns when it answers
#   redmine.sh stop DIR             let it finish what it has begun, then end it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
app=/usr/share/redmine
packages=(redmine redmine-sqlite puma curl)
export RAILS_ENV=production REDMINE_LANG=en REDMINE_INSTANCE=casehook-live DEBIAN_FRONTEND=noninteractive
# Debian 12: Redmine's post-install and its commands end with an error under the Bundler that Ruby 3.1 brings along.
if [ -e /usr/share/rubygems-integration/all/specifications/bundler-2.3.15.gemspec ] || grep -q 'VERSION_ID="12"' /etc/os-release 2>/dev/null
then export BUNDLER_VERSION=2.3.15; fi

say() { printf 'redmine: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
installed() { dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }
quietly() { # LOG COMMAND...: its output only when it fails
    local log=$1; shift
    "$@" >"$log" 2>&1 || { tail -n 25 "$log" >&2; die "failed: $* (all of it in $log)"; }
}

install_packages() {
    local missing=() package
    command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 ||
        die "this test takes Redmine from Debian's packages, and this machine has no apt-get: run it on Debian 12 or in a debian:12 container"
    for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "not installed: ${missing[*]}; run as root once: tests/live/redmine.sh install"
    say "installing ${missing[*]} (about a minute)"
    local log; log=$(mktemp)
    printf 'redmine redmine/instances/default/dbconfig-install boolean false\n' | debconf-set-selections 2>/dev/null || true
    # Fewer privileges for downloads are of no use where the sandbox user cannot exist, as in some containers.
    local apt=(apt-get -y --no-install-recommends -o DPkg::Lock::Timeout=600 -o APT::Sandbox::User=root)
    quietly "$log" "${apt[@]}" update
    apt-cache show redmine >/dev/null 2>&1 || die "the package lists of this machine have no redmine: Debian 12 (main) has it"
    quietly "$log" "${apt[@]}" install "${missing[@]}"
    rm -f "$log"
}

point_at() { # DATABASE: the instance's configuration
    local etc=/etc/redmine/$REDMINE_INSTANCE
    [ -w /etc/redmine ] || die "cannot write /etc/redmine: run as root"
    [ -d "$etc" ] || (cd "$app" && bin/redmine-instances create "$REDMINE_INSTANCE" >/dev/null)
    printf 'production:\n  adapter: sqlite3\n  database: %s\n  encoding: utf8\n  timeout: 15000\n' "$1" >"$etc/database.yml"
    [ -s "$etc/secret_key.txt" ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$etc/secret_key.txt"
}

prepare() {
    local dir; mkdir -p "$1"; dir=$(cd "$1" && pwd)
    local seed; seed=$(dirname "$dir")/redmine-seed
    mkdir -p "$seed"; chmod 700 "$seed"
    if [ ! -s "$seed/redmine.db" ] || [ "$here/redmine_seed.rb" -nt "$seed/redmine.db" ]; then
        say "making the database (about a minute, once)"
        rm -f "$seed"/*.db*
        (umask 077; od -An -N12 -tx1 /dev/urandom | tr -d ' \n' >"$seed/password")
        point_at "$seed/new.db"
        (
            cd "$app"
            SCHEMA=/dev/null quietly "$seed/migrate.log" bundle exec rake db:migrate
            quietly "$seed/data.log" bundle exec rake redmine:load_default_data
            CASEHOOK_PASSWORD_FILE=$seed/password quietly "$seed/seed.log" bundle exec rails runner "$here/redmine_seed.rb"
        )
        mv "$seed/new.db" "$seed/redmine.db"
    fi
    cp "$seed/redmine.db" "$dir/redmine.db"
    cp -p "$seed/password" "$dir/password"
    point_at "$dir/redmine.db"
}

start() {
    local dir port; dir=$(cd "$1" && pwd); port=$2
    cd "$app"
    setsid puma -e production -b "tcp://127.0.0.1:$port" -t 1:1 -w 0 config.ru >>"$dir/server.log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    local tries=0
    until curl -fsS -m 10 -o /dev/null "http://127.0.0.1:$port/login" 2>/dev/null; do
        kill -0 "$(cat "$dir/pid")" 2>/dev/null || { tail -n 20 "$dir/server.log" >&2; die "the server ended before it answered"; }
        tries=$((tries + 1)); [ $tries -lt 600 ] || die "no answer on port $port after two minutes (log: $dir/server.log)"
        sleep 0.2
    done
}

stop() {
    local file=$1/pid pid
    [ -s "$file" ] || return 0
    pid=$(cat "$file")
    kill -TERM "$pid" 2>/dev/null || true
    local tries=0
    while kill -0 "$pid" 2>/dev/null; do
        tries=$((tries + 1)); [ $tries -lt 300 ] || { kill -KILL "$pid" 2>/dev/null || true; break; }
        sleep 0.1
    done
    rm -f "$file"
}

case ${1:-} in
    install) install_packages ;;
    prepare) prepare "${2:?DIR}" ;;
    start) start "${2:?DIR}" "${3:?PORT}" ;;
    stop) stop "${2:?DIR}" ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
