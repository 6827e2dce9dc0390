#!/usr/bin/env python3
"""Draws the way of a push, flow.svg: `python3 flow.py` writes it, `python3 flow.py --check` says whether it is current."""

import sys
from pathlib import Path

WIDTH, HEIGHT = 760, 330
STYLE = (
    "text{font:13px sans-serif;fill:#222}.s{font-size:11px;fill:#555}.b{fill:#fff;stroke:#456;stroke-width:1.5}"
    ".g{fill:#f3f6f9;stroke:#9ab;stroke-dasharray:4 3}.l{fill:none;stroke:#456;stroke-width:1.5;marker-end:url(#a)}"
)


def box(x: int, y: int, w: int, h: int, title: str, *notes: str) -> list[str]:
    """A box with a title and smaller lines below it."""
    out = [f'<rect class="b" x="{x}" y="{y}" width="{w}" height="{h}" rx="6"/>']
    out.append(f'<text x="{x + w // 2}" y="{y + 20}" text-anchor="middle">{title}</text>')
    for place, note in enumerate(notes):
        line = y + 37 + 15 * place
        out.append(f'<text class="s" x="{x + w // 2}" y="{line}" text-anchor="middle">{note}</text>')
    return out


def arrow(path: str, note: str = "", x: int = 0, y: int = 0) -> list[str]:
    """A line with a head at its end, and a word beside it."""
    out = [f'<path class="l" d="{path}"/>']
    if note:
        out.append(f'<text class="s" x="{x}" y="{y}">{note}</text>')
    return out


def draw() -> str:
    """The whole picture."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" aria-label="From push to incident">',
        f"<style>{STYLE}</style>",
        '<defs><marker id="a" markerWidth="9" markerHeight="9" refX="8" refY="4" orient="auto">'
        '<path d="M0,0L9,4L0,8z" fill="#456"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        '<rect class="g" x="10" y="10" width="560" height="310" rx="8"/>',
        '<text class="s" x="20" y="28">your program&#8217;s process</text>',
        *box(30, 45, 150, 70, "your program", "push, status, wait", "Rust, C, Python"),
        *box(225, 45, 150, 70, "check and render", "a bad case fails here,", "in the caller"),
        *box(225, 170, 150, 85, "cases.db (SQLite)", "one commit a push,", "one a finished step;", "secrets encrypted"),
        *box(415, 170, 140, 85, "engine", "what is due, in which", "order; what a failure", "means"),
        *box(415, 45, 140, 70, "workers", "one request at a time,", "no lock held"),
        *box(620, 45, 125, 70, "case system", "create, get,", "update, comment"),
        *box(30, 170, 150, 85, "you", "list, watch, doctor;", "retry, adopt, cancel", "from any process"),
        *arrow("M180,80H223", "case", 187, 74),
        *arrow("M300,115V168", "commit, then return", 306, 145),
        *arrow("M375,205H413", "claim", 379, 199),
        *arrow("M415,230H377", "record", 378, 246),
        *arrow("M470,170V117", "send", 437, 145),
        *arrow("M505,115V168", "answer", 511, 145),
        *arrow("M555,68H618", "HTTPS", 570, 62),
        *arrow("M620,95H557"),
        *arrow("M180,205H223"),
        *arrow("M225,230H182"),
        '<text class="s" x="20" y="285">Several processes may push into one database; one of them delivers at a time.</text>',
        '<text class="s" x="20" y="302">A crash at any arrow loses nothing that was accepted; what it left unclear is looked'
        " up, or marked.</text>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def main() -> int:
    path = Path(__file__).with_name("flow.svg")
    if sys.argv[1:] == ["--check"]:
        if path.read_text() == draw():
            return 0
        print(f"{path.name} is not what {Path(__file__).name} draws; run it", file=sys.stderr)
        return 1
    path.write_text(draw())
    return 0


if __name__ == "__main__":
    sys.exit(main())
