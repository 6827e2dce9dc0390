#!/usr/bin/env python3
"""What is built into a package of the workspace, with the licences as their owners wrote them.

    python3 tests/release/third_party.py casehook-c [FEATURE...] > THIRD-PARTY.txt
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(HERE / "bindings"))

import sbom  # noqa: E402

NAMES = ("license", "licence", "copying", "copyright", "notice", "unlicense")


def texts(package: dict) -> list[str]:
    """The files of a package that say what may be done with it."""
    folder = Path(package["manifest_path"]).parent
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name.lower().startswith(NAMES))
    return [file.read_text(errors="replace").strip() for file in files]


def main() -> int:
    """0 when each package says its licence."""
    name, *features = sys.argv[1:]
    built = sbom.built_in(name, features)
    packages = [one for one in sbom.metadata(features)["packages"] if (one["name"], one["version"]) in built]
    packages = sorted((one for one in packages if one["source"]), key=lambda one: (one["name"], one["version"]))
    without = [one["name"] for one in packages if not one["license"]]
    print(f"{name} contains these packages, each under the licence beside it; SQLite is in the public domain.\n")
    for one in packages:
        print(f"{one['name']} {one['version']}  {one['license']}")
    owners: dict[str, list[str]] = {}
    for one in packages:
        for text in texts(one):
            owners.setdefault(text, []).append(f"{one['name']} {one['version']}")
    for text, named in owners.items():
        print(f"\n{'=' * 80}\n{', '.join(named)}\n{'-' * 80}\n{text}")
    if without:
        print("without a licence:", ", ".join(without), file=sys.stderr)
    return 1 if without else 0


if __name__ == "__main__":
    sys.exit(main())
