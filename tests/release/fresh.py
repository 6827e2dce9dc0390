#!/usr/bin/env python3
"""Follows README.md word by word, in a Debian root that has only what the README asks for.

`fresh.py` makes the root (as root, with debootstrap), puts Rust and the sources into it, and runs there, in their order, every
command line of the README's indented blocks up to the five minutes' end. `make test` runs with --all only. The one thing that
is not as it stands: https://tickets.example.com is served by a small case system in the root.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
PREREQUISITES = "gcc,libc6-dev,make,python3,python3-venv,ca-certificates"
SERVICE = "http://127.0.0.1:18321"
SERVER = '''
import http.server, json
tickets = []
class Tickets(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = self.path.strip("/").split("/")
        if self.command == "POST" and len(parts) == 1:
            tickets.append({"id": len(tickets) + 1, **json.loads(body)})
        ticket = tickets[int(parts[1]) - 1] if len(parts) > 1 else tickets[-1]
        if self.command == "PUT":
            ticket.update(json.loads(body))
        data = json.dumps(ticket).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    do_GET = do_POST = do_PUT = answer
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", 18321), Tickets).serve_forever()
'''


def commands(readme: str, everything: bool) -> list[str]:
    """The command lines of the README in their order, what they say about themselves left out."""
    part = readme[readme.index("## See it work") : readme.index("## In Rust")]
    lines = [line[4:] for line in part.splitlines() if re.match(r"    \S", line)]
    lines = [re.sub(r"\s{3,}.*", "", line) for line in re.sub(r"```.*?```", "", "\n".join(lines), flags=re.S).splitlines()]
    return [line for line in lines if everything or line != "make test"]


def mount(what: str, root: Path, where: str) -> Path:
    place = root / where.lstrip("/")
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", what, place], check=True)
    return place


def main() -> int:
    everything = "--all" in sys.argv
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
        (source / "connector.json").write_text(
            re.search(r"```json\n(.*?)```", readme, re.S)[1].replace("https://tickets.example.com", SERVICE)
        )
        (root / "root/server.py").write_text(SERVER)
        script = ["set -eux", "export PATH=/opt/rust/bin:$HOME/.cargo/bin:$PATH", "cd ~/casehook",
                  "python3 ~/server.py & server=$!", "trap 'kill $server' EXIT", *commands(readme, everything)]
        (root / "root/follow.sh").write_text("\n".join(script) + "\n")
        proxies = {name: os.environ[name] for name in os.environ if name.lower().endswith("_proxy")}
        environment = {"HOME": "/root", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TERM": "dumb", **proxies}
        done = subprocess.run(["chroot", root, "bash", "/root/follow.sh"], env=environment, stdin=subprocess.DEVNULL,
                              text=True, stdout=subprocess.PIPE)
        print(done.stdout)
        delivered = "delivered" in done.stdout.rsplit("Push 1", 1)[-1]
        print("fresh:", "the README holds" if done.returncode == 0 and delivered else "the README does not hold")
        return 0 if done.returncode == 0 and delivered else 1
    finally:
        for place in reversed(mounts):
            subprocess.run(["umount", place], check=False)
        if not any(os.path.ismount(place) for place in mounts):
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
