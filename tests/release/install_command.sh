#!/bin/sh
# Puts the command $1 to its place, with its completions and man pages, which it writes itself.
# From the environment: PREFIX (/usr/local), DESTDIR (empty).
set -eu
command=$1
base=${DESTDIR:-}${PREFIX:-/usr/local}
share=$base/share
mkdir -p "$base/bin" "$share/bash-completion/completions" "$share/zsh/site-functions" \
    "$share/fish/vendor_completions.d" "$share/man/man1"
install -m 755 "$command" "$base/bin/casehook"
"$command" completions bash >"$share/bash-completion/completions/casehook"
"$command" completions zsh >"$share/zsh/site-functions/_casehook"
"$command" completions fish >"$share/fish/vendor_completions.d/casehook.fish"
"$command" man "$share/man/man1" >/dev/null
