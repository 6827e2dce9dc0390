#!/usr/bin/env python3
"""Holds the Rust interface, as rustdoc shows it, against tests/house/public-api.txt.

`public_api.py DOC` tells what changed and fails; `public_api.py DOC --write` takes it over. DOC is the folder of the crate's
pages, target/doc/casehook. A line that goes or changes is a break for somebody: it belongs into CHANGELOG.md.
"""

import difflib
import html
import re
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
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main())
