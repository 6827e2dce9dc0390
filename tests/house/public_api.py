#!/usr/bin/env python3
"""Holds the Rust interface, as rustdoc shows it, against tests/house/public-api.txt.

`public_api.py DOC` tells what changed and fails; `public_api.py DOC --write` takes it over. DOC is the folder of the crate's
pages, target/doc/casehook. A line that goes or changes is a break for somebody: it belongs into CHANGELOG.md. Since the last
tag (v1.2.3) lines may only go with a version that says so, as Cargo understands versions; before the first tag any may.
"""

import difflib
import html
import re
import subprocess
import sys
from pathlib import Path

LISTING = Path(__file__).with_name("public-api.txt")
ITEM = re.compile(r'<pre class="rust item-decl"><code>(.*?)</code></pre>', re.S)
MEMBER = re.compile(r'<h4 class="code-header">(.*?)</h4>', re.S)
FOREIGN = re.compile(r'<h2 id="(?:synthetic|blanket)-implementations"')


def plain(markup: str) -> str:
    """The text of markup on one line; bodies of provided functions and summaries of folded parts left out."""
    text = re.sub(r"<details.*?<summary.*?</summary>", "", markup, flags=re.S)
    text = html.unescape(re.sub(r"<[^>]*>", "", text))
    return re.sub(r"\s+", " ", re.sub(r"//[^\n]*", "", text)).strip()


def listing(pages: Path) -> list[str]:
    """A line for each item and each of its members."""
    lines = []
    for page in sorted(pages.rglob("*.html")):
        text = FOREIGN.split(page.read_text())[0]
        kind, _, name = page.stem.partition(".")
        if not name or kind in ("index", "all", "sidebar-items"):
            continue
        path = "::".join([*page.parent.relative_to(pages).parts, name])
        lines += [f"{path}: {plain(item)}" for item in ITEM.findall(text)]
        lines += [f"{path}:     {plain(member)}" for member in MEMBER.findall(text)]
    return lines


def may_break(before: str, now: str) -> bool:
    """Whether version `now` promises less than `before` did.

    >>> [may_break("1.2.3", now) for now in ("1.2.4", "1.3.0", "2.0.0")]
    [False, False, True]
    >>> [may_break("0.2.3", now) for now in ("0.2.4", "0.3.0", "1.0.0")]
    [False, True, True]
    """
    old, new = ([int(part) for part in version.split("-")[0].split(".")] for version in (before, now))
    return old[: 1 if old[0] else 2] != new[: 1 if old[0] else 2]


def git(*words: str) -> str:
    """What git says, nothing where it cannot."""
    done = subprocess.run(["git", *words], cwd=LISTING.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def broken_since_the_last_tag(now: list[str]) -> list[str]:
    """What the last release had and this version has no right to lack."""
    tag = git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*")
    released = git("show", f"{tag}:./{LISTING.name}").splitlines() if tag else []
    manifest = (LISTING.parents[2] / "Cargo.toml").read_text()
    version = re.search(r'^version = "([^"]+)"', manifest, re.M)
    if not released or version is None or may_break(tag[1:], version.group(1)):
        return []
    return sorted(set(released) - set(now))


def main() -> int:
    """0 when the listing is current."""
    now = listing(Path(sys.argv[1]))
    if len(now) < 100:
        print(f"only {len(now)} lines in {sys.argv[1]}: is that the documentation?", file=sys.stderr)
        return 1
    if "--write" in sys.argv:
        LISTING.write_text("\n".join(now) + "\n")
        return 0
    committed = LISTING.read_text().splitlines()
    changes = list(difflib.unified_diff(committed, now, str(LISTING), "now", lineterm="", n=0))
    if changes:
        print("\n".join(changes))
        print("the public interface changed: say so in CHANGELOG.md, then `make public-api`", file=sys.stderr)
        return 1
    gone = broken_since_the_last_tag(now)
    if gone:
        print("\n".join(f"-{line}" for line in gone))
        print("these were released, and the version does not say that they may go", file=sys.stderr)
    return 1 if gone else 0


if __name__ == "__main__":
    sys.exit(main())
