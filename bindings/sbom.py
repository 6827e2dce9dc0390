"""A software bill of materials of one package of the workspace: CycloneDX 1.5 as JSON, from what cargo has locked.

    python3 bindings/sbom.py casehook-c [--no-default-features] [FEATURE...] > casehook.cdx.json

Says which crates are built in (build scripts and tests left out), with versions, licences and hashes. The same input gives
the same output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SQLITE_HEADER = "sqlite3/sqlite3.h"


NO_DEFAULTS = "--no-default-features"


def metadata(features: list[str]) -> dict:
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--format-version", "1", "--locked"]
    host = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    (platform,) = (line.split()[1] for line in host.splitlines() if line.startswith("host:"))
    command += ["--filter-platform", platform]
    # With the default ones, if need be too many: `built_in` tells which of them count.
    if features := [feature for feature in features if feature != NO_DEFAULTS]:
        command += ["--features", ",".join(features)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout)


def built_in(name: str, features: list[str]) -> set[tuple[str, str]]:
    """Names and versions of what ends up in the library: no macros, no build or development dependencies."""
    command = [os.environ.get("CARGO", "cargo"), "tree", "-p", name, "-e", "normal,no-proc-macro", "--locked"]
    command += ["--prefix", "none", "--format", "{p}", "--offline"]
    if NO_DEFAULTS in features:
        command.append(NO_DEFAULTS)
    if features := [feature for feature in features if feature != NO_DEFAULTS]:
        command += ["--features", ",".join(features)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
    words = (line.split() for line in lines if line.strip())
    return {(word[0], word[1].removeprefix("v")) for word in words}


def checksums() -> dict[tuple[str, str], str]:
    found, name, version = {}, "", ""
    for line in (ROOT / "Cargo.lock").read_text().splitlines():
        key, _, value = line.partition(" = ")
        if key == "name":
            name = value.strip('"')
        elif key == "version":
            version = value.strip('"')
        elif key == "checksum":
            found[name, version] = value.strip('"')
    return found


def reached(nodes: dict[str, dict], root: str, wanted: set[str]) -> dict[str, list[str]]:
    """Each wanted package and which wanted ones it depends on."""
    found: dict[str, list[str]] = {}
    todo = [root]
    while todo:
        package = todo.pop()
        if package not in found:
            found[package] = sorted({dep["pkg"] for dep in nodes[package]["deps"] if dep["pkg"] in wanted})
            todo += found[package]
    return found


def component(package: dict, kind: str, sums: dict[tuple[str, str], str]) -> dict:
    name, version = package["name"], package["version"]
    purl = f"pkg:cargo/{name}@{version}"
    made = {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl, "scope": "required"}
    if package.get("description"):
        made["description"] = " ".join(package["description"].split())
    if package.get("license"):
        made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if (name, version) in sums:
        made["hashes"] = [{"alg": "SHA-256", "content": sums[name, version]}]
    if package.get("repository"):
        made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return made


def sqlite(package: dict) -> dict | None:
    """SQLite itself, whose source comes with the crate that binds it."""
    header = Path(package["manifest_path"]).parent / SQLITE_HEADER
    if package["name"] != "libsqlite3-sys" or not header.exists():
        return None
    lines = header.read_text(errors="replace").splitlines()
    (version,) = (line.split('"')[1] for line in lines if line.startswith("#define SQLITE_VERSION "))
    purl = f"pkg:generic/sqlite@{version}"
    return {
        "type": "library", "bom-ref": purl, "name": "sqlite", "version": version, "purl": purl, "scope": "required",
        "licenses": [{"license": {"name": "Public Domain"}}],
    }  # fmt: skip


def bill(name: str, features: list[str]) -> dict:
    whole = metadata(features)
    packages = {package["id"]: package for package in whole["packages"]}
    nodes = {node["id"]: node for node in whole["resolve"]["nodes"]}
    members = {packages[member]["name"]: member for member in whole["workspace_members"]}
    root, sums = members[name], checksums()
    built = built_in(name, features)
    wanted = {id for id, package in packages.items() if (package["name"], package["version"]) in built}
    found = reached(nodes, root, wanted)
    made = {package: component(packages[package], "library", sums) for package in found}
    depends = {made[package]["bom-ref"]: [made[dep]["bom-ref"] for dep in deps] for package, deps in found.items()}
    components = [part for package, part in made.items() if package != root]
    for package in found:
        if source := sqlite(packages[package]):
            components.append(source)
            depends[made[package]["bom-ref"]].append(source["bom-ref"])
            depends[source["bom-ref"]] = []
    components.sort(key=lambda part: part["bom-ref"])
    body = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": made[root]},
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": sorted(deps)} for ref, deps in sorted(depends.items())],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    return {**body, "serialNumber": f"urn:uuid:{serial}"}


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} PACKAGE [{NO_DEFAULTS}] [FEATURE...]")
    json.dump(bill(sys.argv[1], sys.argv[2:]), sys.stdout, indent=1)
    print()
