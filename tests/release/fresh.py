#!/usr/bin/env python3
"""Follows README.md word by word, in a Debian root that has only what the README asks for.

`fresh.py` makes the root (as root, with debootstrap), puts Rust and the sources into it, and runs there, in their order, every
command line of the README's indented blocks, and its programs. `make test` runs with --all only; `fresh.py "In C"` follows the
sections named. What is not as it stands: https://tickets.example.com is served by a small case system in the root, and nobody
answers at Jira, so that `test jira` has to fail.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
PREREQUISITES = "gcc,libc6-dev,make,python3,python3-venv,ca-certificates,pkg-config"


def sections(readme: str) -> dict[str, str]:
    """The README from what can be done on, by its headings."""
    parts = re.split(r"^## (.*)\n", readme[: readme.index("## Files")], flags=re.M)
    named = dict(zip(parts[1::2], parts[2::2]))
    return {name: text for name, text in named.items() if re.search(r"^    \S", text, flags=re.M)} | {"In Rust": named["In Rust"]}


def commands(section: str, everything: bool) -> list[str]:
    """The command lines of a section in their order, what they say about themselves left out."""
    text = re.sub(r"```.*?```", "", section, flags=re.S)
    lines = [re.sub(r"\s{3,}.*", "", line[4:]) for line in text.splitlines() if re.match(r"    \S", line)]
    if any(line.startswith("$ ") for line in lines):
        # The others between those are what they print.
        first = next(at for at, line in enumerate(lines) if line.startswith("$ "))
        lines = lines[:first] + [line[2:] for line in lines[first:] if line.startswith("$ ")]
    return [line for line in lines if everything or line != "make test"]


def program(section: str, language: str) -> str:
    """The program of a section."""
    return re.search(rf"```{language}[^\n]*\n(.*?)```", section, re.S)[1]


def put(file: str, text: str) -> str:
    """A command that writes a file."""
    return f"cat > {file} <<'END-OF-FILE'\n{text}END-OF-FILE"


def script(readme: str, only: list[str], everything: bool) -> list[str]:
    """What is run in the root. Each quick start has a folder of its own beside the sources, with the connector of above."""
    named = sections(readme)
    secrets = re.search(r"`secrets.json` holds `(.*?)`", readme)[1]
    lines = ["set -eux", "export PATH=/opt/rust/bin:$HOME/.cargo/bin:$PATH", "cd ~/casehook",
             "python3 tests/release/tickets.py > ~/service & server=$!", "trap 'kill $server' EXIT",
             "until [ -s ~/service ]; do sleep 0.1; done", put("connector.json", program(readme, "json")),
             'sed -i "s|https://tickets.example.com|$(cat ~/service)|" connector.json', put("secrets.json", secrets + "\n")]
    for name, section in named.items():
        if only and name not in only:
            continue
        lines += [f"echo '== {name}'", "cd ~/casehook"]
        given = commands(section, everything)
        elsewhere = "rm -rf ~/quick && mkdir ~/quick && cp connector.json ~/quick"
        if name == "In Rust":
            given = [elsewhere, "cd ~/quick", "cargo init -q --name quick", "cargo add -q casehook --path ~/casehook",
                     put("src/main.rs", program(section, "rust")), "CARGO_TARGET_DIR=~/casehook/target cargo run -q"]
        if name == "In C":
            at = next(at for at, line in enumerate(given) if line.startswith("cc "))
            given = [*given[:at], elsewhere, "cd ~/quick", put("quick.c", program(section, "c")), *given[at:]]
        if name == "In Python":
            given += [elsewhere, put("~/quick/quick.py", program(section, "python")),
                      "(cd ~/quick && ~/casehook/venv/bin/python quick.py)"]
        # Nobody is there.
        lines += [f"{line} || [ $? = 1 ]" if line.endswith(" test jira") else line for line in given]
    return lines


def mount(what: str, root: Path, where: str) -> Path:
    place = root / where.lstrip("/")
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", what, place], check=True)
    return place


def main() -> int:
    everything, only = "--all" in sys.argv, [word for word in sys.argv[1:] if word != "--all"]
    readme = (HERE / "README.md").read_text()
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        print("fresh needs root and debootstrap: apt-get install debootstrap", file=sys.stderr)
        return 1
    run = lambda *words, **more: subprocess.run(words, check=True, **more)  # noqa: E731
    root = Path(tempfile.mkdtemp(prefix="casehook-fresh-"))
    mounts: list[Path] = []
    try:
        release = re.search(r"VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text())
        run("debootstrap", "--variant=minbase", f"--include={PREREQUISITES}", release[1] if release else "stable", root,
            stdout=subprocess.DEVNULL)
        # Rust as rustup lays it, without anything that this machine's owner has put beside it.
        toolchain = Path(subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip())
        mounts.append(mount(str(toolchain), root, "/opt/rust"))
        home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
        # How this machine reaches the package registries.
        for name in ("config.toml", "config", "credentials.toml"):
            if name != "credentials.toml" and (home / name).exists():
                (root / "root/.cargo").mkdir(parents=True, exist_ok=True)
                shutil.copy(home / name, root / "root/.cargo" / name)
        for name in ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf"):
            if Path(name).exists():
                shutil.copy(name, root / name.lstrip("/"))
        for certificates in ("/etc/ssl/certs", "/usr/local/share/ca-certificates"):
            if Path(certificates).exists():
                mounts.append(mount(certificates, root, certificates))
        mounts += [mount(name, root, name) for name in ("/proc", "/dev")]
        source = root / "root/casehook"
        source.mkdir(parents=True)
        archive = subprocess.Popen(["git", "-C", HERE, "archive", "HEAD"], stdout=subprocess.PIPE)
        run("tar", "-x", "-C", source, stdin=archive.stdout)
        with (root / "etc/hosts").open("a") as hosts:
            hosts.write("\n127.0.0.1 acme.atlassian.net\n")
        steps = script(readme, only, everything)
        (root / "root/follow.sh").write_text("\n".join(steps) + "\n")
        proxies = {name: os.environ[name] for name in os.environ if name.lower().endswith("_proxy")}
        environment = {"HOME": "/root", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TERM": "dumb", **proxies}
        done = subprocess.run(["chroot", root, "bash", "/root/follow.sh"], env=environment, stdin=subprocess.DEVNULL,
                              text=True, stdout=subprocess.PIPE)
        print(done.stdout)
        parts = re.split(r"^== (.*)\n", done.stdout, flags=re.M)
        lacking = [name for name, said in zip(parts[1::2], parts[2::2]) if "Jira" not in name and "delivered" not in said]
        holds = done.returncode == 0 and not lacking
        if lacking:
            print("nothing was delivered in:", ", ".join(lacking))
        print("fresh:", "the README holds" if holds else "the README does not hold")
        return 0 if holds else 1
    finally:
        for place in reversed(mounts):
            subprocess.run(["umount", place], check=False)
        if not any(os.path.ismount(place) for place in mounts):
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
