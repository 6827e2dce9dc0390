#!/usr/bin/env python3
"""Delivers cases to a real Redmine that goes away in the middle, then asks Redmine itself what it has.

    redmine.py --casehook target/debug/casehook [--cases 200] [--keep]

Redmine comes from Debian's packages (redmine.sh). Everything stays on 127.0.0.1. Ends with `N passed, M failed`.
"""

import argparse
import base64
import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
SERVER = str(HERE / "redmine.sh")
# Longer than anything here takes on two slow cores; what needs it hangs.
PATIENCE = 300


class Checks:
    """What was found, good and bad."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, what, holds, found=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {what}: {found}", flush=True)

    def equal(self, what, found, expected):
        self.check(what, found == expected, f"expected {expected!r}, found {found!r}")


class Casehook:
    """The command line on one database."""

    def __init__(self, program, database):
        self.command = [program, "--db", str(database), "--json"]
        self.log = open(database.with_suffix(".log"), "a", encoding="utf-8")

    def __call__(self, *words, document=None, codes=(0,)):
        """Runs one command; its output, a list with one document a line."""
        text = None if document is None else json.dumps(document)
        done = subprocess.run(
            self.command + list(words), input=text, text=True, capture_output=True, timeout=PATIENCE, check=False
        )
        if done.returncode not in codes:
            sys.exit(f"casehook {' '.join(words)} ended with {done.returncode}: {done.stderr or done.stdout}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def push(self, params):
        return self("push", "redmine", "-", document=params)[0]["id"]

    def preset(self, name, **parameters):
        """A connector document from one of casehook's own presets."""
        words = [word for key, value in parameters.items() for word in ("--set", f"{key}={value}")]
        return self("preset", name, *words)[0]

    def pushes(self):
        return {push["id"]: push for push in self("list", "--limit", "1000")}

    @contextlib.contextmanager
    def running(self, checks):
        """`run` in the background; leaving asks it to stop, which it has to do by itself."""
        process = subprocess.Popen(self.command + ["run"], stdout=self.log, stderr=self.log)
        try:
            yield process
            checks.equal("`run` is still there at the end", process.poll(), None)
        finally:
            process.terminate()
            try:
                checks.equal("`run` ends with 0 when asked to stop", process.wait(timeout=60), 0)
            except subprocess.TimeoutExpired:
                process.kill()
                checks.check("`run` ends when asked to stop", False, "still there after a minute")


class Redmine:
    """The server, and its REST API as another client of it sees it."""

    def __init__(self, directory):
        self.directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def shell(self, *words):
        if subprocess.run([SERVER, *words], check=False, timeout=1800).returncode != 0:
            sys.exit(f"tests/live/redmine.sh {words[0]} failed, see above")

    def prepare(self):
        self.shell("install")
        self.shell("prepare", str(self.directory))
        password = (self.directory / "password").read_text(encoding="ascii")
        self.secrets = {"user": "casehook", "password": password}

    def start(self):
        self.shell("start", str(self.directory), str(self.port))

    def stop(self):
        self.shell("stop", str(self.directory))

    def get(self, path):
        coded = base64.b64encode(":".join(self.secrets.values()).encode()).decode()
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Basic {coded}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def issues(self):
        """Every issue of the project with its notes."""
        found = []
        while True:
            page = self.get(f"/issues.json?project_id=cases&status_id=*&limit=100&offset={len(found)}")
            found += page["issues"]
            if len(found) >= page["total_count"] or not page["issues"]:
                break
        whole = [self.get(f"/issues/{issue['id']}.json?include=journals")["issue"] for issue in found]
        for issue in whole:
            issue["notes"] = [entry["notes"] for entry in issue["journals"] if entry.get("notes")]
        return whole

    def connector(self, casehook, project="cases", key=None):
        """The preset, and how a create without an answer is looked up here: by the case's id, which stands in its title."""
        key = key or self.get("/users/current.json")["user"]["api_key"]
        document = casehook.preset("redmine", url=self.url, project=project, key=key)
        document["config"] |= {
            "onUncertainCreate": "find",
            "findIncidentUrl": self.url + "/issues.json?project_id=cases&status_id=*&subject=~{{{case.id}}}",
            "findIncidentResponseKey": "issues[].id",
            "findSettleMs": 2000,
            "retry": {"baseMs": 200, "capMs": 2000},
        }
        return document


def params(number, version, comments):
    case = f"case-{number:03}"
    # One is longer than Redmine's 255 characters.
    more = " – “long”" * 40 if number == 7 else ""
    return {
        "incident": {
            "id": case,
            "title": f"{case} version {version}{more}",
            "description": f"Disk of host {number} is full – “really”",
        },
        "comments": [{"commentId": f"c{n}", "comment": f"{case} comment {n}"} for n in range(1, comments + 1)],
    }


def until(what, condition, patience=PATIENCE):
    """Waits for a condition; its value."""
    end = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > end:
            sys.exit(f"waited {patience} s in vain: {what}")
        time.sleep(0.1)
    return value


def cut(text, longest=255):
    return text if len(text) <= longest else text[: longest - 1] + "…"


def refusals(casehook, redmine, checks):
    """A wrong key blocks the connector, a project that is not there fails the push; both say why, and nothing is opened."""

    def configure(**parameters):
        casehook("configure", "redmine", "-", document=redmine.connector(casehook, **parameters))

    def health():
        return casehook("stats")[0]["connectors"][0]["health"]

    configure(key="0" * 40)
    push = casehook.push(params(900, 1, 0))
    with casehook.running(checks):
        until("Redmine to refuse the key", lambda: health()["state"] == "blocked")
    checks.check("the reason names the status", "401" in json.dumps(health()), health())
    state = casehook("status", str(push))[0]["state"]
    checks.check("a blocked push waits", state in ("queued", "waiting"), state)
    report = casehook("test", "redmine", codes=(1,))[0]
    checks.check("test says what to do about 401", report["steps"][-1]["suggestion"], report)

    configure(project="nowhere")
    status = casehook("wait", str(push), "--timeout", "120s", codes=(1,))[0]
    checks.equal("an unknown project fails the push", status["state"], "failed")
    checks.check("and says which status", status["error"]["httpStatus"] in (404, 422), status["error"])
    report = casehook("test", "redmine", codes=(1,))[0]
    checks.check("test says what to do about it", report["steps"][-1]["suggestion"], report)
    casehook("discard", str(push))
    checks.equal("nothing was opened", redmine.issues(), [])

    configure()
    report = casehook("test", "redmine", "--get-only", "987654", codes=(1,))[0]
    checks.equal("an issue that is not there", report["steps"][0]["answer"]["status"], 404)
    checks.equal("reading back leaves nothing", redmine.issues(), [])


def scenario(casehook, redmine, count, checks):
    """Pushes, with the server away for a while; what Redmine should have: version and comments by case number."""
    expected, early = {}, []

    def push(number, version, comments):
        expected[number] = (version, comments)
        return casehook.push(params(number, version, comments))

    casehook("configure", "redmine", "-", document=redmine.connector(casehook))

    # Without anything in the background: `push` stores, `wait` and `drain` deliver.
    early = [push(number, 1, 2) for number in range(1, 6)]
    checks.equal("a push just stores", casehook("status", str(early[0]))[0]["state"], "queued")
    status = casehook("wait", str(early[0]), "--timeout", "120s")[0]
    checks.equal("`wait` delivers", status["state"], "delivered")
    checks.check("the link leads to the issue", status["externalUrl"].startswith(redmine.url + "/issues/"), status)
    casehook("drain", "--timeout", "120s")
    states = {casehook("status", str(id))[0]["state"] for id in early}
    checks.equal("`drain` delivers the rest", states, {"delivered"})

    with casehook.running(checks) as process:
        for number in range(6, count + 1):
            push(number, 1, 2)

        def some_delivered():
            states = [push["state"] for push in casehook.pushes().values()]
            return process.poll() is not None or states.count("delivered") >= 5 + (count - 5) // 4

        until("the first cases to arrive", some_delivered)
        redmine.stop()
        unfinished = [id for id, push in casehook.pushes().items() if push["state"] != "delivered"]
        checks.check("the server went away in the middle", unfinished, "everything was delivered by then")
        print(f"redmine is away, {len(unfinished)} pushes are not delivered yet", flush=True)

        away = [push(number, 2, 3) for number in range(1, count + 1, 2)]
        away += [push(number, 1, 2) for number in range(count + 1, count + 6)]

        def noticed():
            health = casehook("stats")[0]["connectors"][0]["health"]
            return process.poll() is not None or health["state"] == "offline"

        until("the connector to be offline", noticed)
        states = {push["state"] for id, push in casehook.pushes().items() if id in away}
        checks.check("nothing is given up while it is away", states <= {"queued", "sending", "waiting"}, states)
        redmine.start()

        def all_done():
            states = {push["state"] for push in casehook.pushes().values()}
            return process.poll() is not None or not states & {"queued", "sending", "waiting"}

        until("everything to be delivered", all_done)
    states = [(id, push["state"], push["error"]) for id, push in casehook.pushes().items()]
    bad = [entry for entry in states if entry[1] not in ("delivered", "superseded")]
    checks.equal("every push is delivered, or superseded by one that is", bad, [])
    return expected


def inspect(redmine, expected, checks):
    """Holds what Redmine has against what was pushed."""
    by_case = {}
    for issue in redmine.issues():
        by_case.setdefault(issue["subject"].split(" ")[0], []).append(issue)
    wanted = {f"case-{number:03}" for number in expected}
    checks.equal("no case that nobody pushed", sorted(set(by_case) - wanted), [])
    for number, (version, comments) in sorted(expected.items()):
        case = f"case-{number:03}"
        issues = by_case.get(case, [])
        checks.equal(f"{case} is there once", len(issues), 1)
        for issue in issues:
            text = params(number, version, comments)
            checks.equal(f"{case} is up to date", issue["subject"], cut(text["incident"]["title"]))
            checks.equal(f"{case} has its text", issue["description"], text["incident"]["description"])
            checks.equal(
                f"{case} has each comment once, in order", issue["notes"], [c["comment"] for c in text["comments"]]
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--casehook", required=True, help="the program to test")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--keep", action="store_true", help="leave database and logs where they are")
    options = parser.parse_args()
    program = pathlib.Path(options.casehook).resolve()
    directory = program.parent.parent / "live" / "redmine"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)

    checks = Checks()
    redmine = Redmine(directory)
    started = time.monotonic()
    redmine.prepare()
    redmine.start()
    try:
        casehook = Casehook(str(program), directory / "cases.db")
        print(f"redmine answers after {time.monotonic() - started:.0f} s", flush=True)
        refusals(casehook, redmine, checks)
        expected = scenario(casehook, redmine, options.cases, checks)
        inspect(redmine, expected, checks)
    finally:
        redmine.stop()
    print(f"{checks.passed} passed, {checks.failed} failed")
    if checks.failed == 0 and not options.keep:
        shutil.rmtree(directory, ignore_errors=True)
    elif checks.failed:
        print(f"database and logs are in {directory}", file=sys.stderr)
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
