#!/usr/bin/env python3
"""Delivers cases to a real django-helpdesk and a real Roundup, then asks them what they have.

    trackers.py --casehook target/debug/casehook [--cases 200] [--only helpdesk|roundup] [--keep]

Both come from the Python package index, each into a virtual environment of its own beside the program. Everything listens
on 127.0.0.1. Ends with `live: N passed, M failed`.
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from redmine import Casehook, Checks, until

HERE = pathlib.Path(__file__).resolve().parent
DONE = {"delivered", "superseded"}


class Server:
    """One tracker: its environment, its process, and its REST API as another client sees it."""

    name = ""
    packages = []

    def __init__(self, folder, rate=None):
        self.folder = folder
        self.rate = rate
        self.process = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def python(self):
        return self.folder.parent / f"{self.name}-venv" / "bin" / "python"

    def install(self):
        """The packages, once: a mark is written when they are all there."""
        venv = self.python.parent.parent
        mark = venv / "ready"
        if mark.exists() and mark.read_text(encoding="ascii") == " ".join(self.packages):
            return
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=600)
        pip = [str(self.python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *self.packages]
        subprocess.run(pip, check=True, timeout=1200)
        mark.write_text(" ".join(self.packages), encoding="ascii")

    def start(self):
        log = open(self.folder / "server.log", "a", encoding="utf-8")
        self.process = subprocess.Popen(
            [str(self.python), str(HERE / "serve.py"), self.name, str(self.port), *self.arguments()],
            env=self.environment(),
            cwd=HERE,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        until(f"{self.name} to answer", self.answers)

    def answers(self):
        if self.process.poll() is not None:
            sys.exit(f"{self.name} ended before it answered; its log: {self.folder}/server.log")
        try:
            self.get(self.probe)
        except urllib.error.HTTPError:
            return True
        except (OSError, http.client.HTTPException):
            return False
        return True

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def arguments(self):
        return []

    def environment(self):
        return dict(os.environ)

    def get(self, path):
        request = urllib.request.Request(self.url + path, headers=self.own_headers())
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


class Helpdesk(Server):
    name = "helpdesk"
    packages = ["django-helpdesk==2.6.1", "djangorestframework", "waitress"]
    probe = "/api/tickets/"
    has_comments = True
    longest_title = 200

    def prepare(self):
        self.install()
        command = [str(self.python), str(HERE / "helpdesk" / "seed.py")]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            sys.exit(f"django-helpdesk cannot be prepared: {done.stderr[-3000:]}")
        self.seed = json.loads(done.stdout.strip().splitlines()[-1])

    def environment(self):
        own = {"CASEHOOK_LIVE_DATA": str(self.folder), "PYTHONPATH": str(HERE / "helpdesk"), "DJANGO_SETTINGS_MODULE": "settings"}
        rate = {"CASEHOOK_LIVE_RATE": self.rate} if self.rate else {}
        return {**os.environ, **own, **rate}

    def own_headers(self):
        return {"Authorization": f"Token {self.seed['token']}"}

    def connector(self, wrong_password=False, unknown_project=False):
        ticket = self.url + "/api/tickets/{{{external.system.id}}}/"
        queue = 9999 if unknown_project else self.seed["queue"]
        text = '"title":{{{case.title}}},"description":{{{case.description}}}'
        token = "0" * 40 if wrong_password else self.seed["token"]
        return {
            "config": {
                "createIncidentUrl": self.url + "/api/tickets/",
                "createIncidentJson": '{"queue":%d,%s,"priority":{{{case.severity}}}}' % (queue, text),
                "createIncidentResponseKey": "id",
                "getIncidentUrl": ticket,
                "getIncidentResponseExternalTitleKey": "title",
                "viewIncidentUrl": self.url + "/tickets/{{{external.system.id}}}/",
                "updateIncidentUrl": ticket,
                "updateIncidentMethod": "patch",
                "updateIncidentJson": "{" + text + "}",
                "createCommentUrl": self.url + "/api/followups/",
                "createCommentMethod": "post",
                "createCommentJson": '{"ticket":{{{external.system.id}}},"comment":{{{case.comment}}},"public":true}',
                "hasAuth": False,
                "valueMaps": {"severity": {"high": 2, "*": 3}},
                "maxLengths": {"title": self.longest_title},
                "retry": {"baseMs": 200, "capMs": 2000},
            },
            "secrets": {"secretHeaders": {"Authorization": f"Token {token}"}},
        }

    def tickets(self):
        """Every ticket: title, description, severity and comments."""
        found, path = [], "/api/tickets/?page_size=100"
        while path:
            page = self.get(path)
            found += page["results"]
            after = page.get("next")
            path = after and after.removeprefix(self.url)
        return [
            {
                "title": ticket["title"],
                "description": ticket["description"],
                "severity": ticket["priority"],
                # The description is the first of them.
                "comments": [
                    entry["comment"]
                    for entry in ticket["followup_set"]
                    if entry.get("comment") and entry["comment"] != ticket["description"]
                ],
            }
            for ticket in sorted(found, key=lambda ticket: ticket["id"])
        ]

    def severity(self, word):
        return 2 if word == "high" else 3


class Roundup(Server):
    name = "roundup"
    packages = ["roundup==2.6.0", "waitress"]
    probe = "/rest/"
    # A comment there is a message and then a change of the issue: two requests, which no connector has.
    has_comments = False
    longest_title = 250

    def prepare(self):
        self.install()
        self.home = self.folder / "tracker"
        self.password = "for tests on this machine alone"
        settings = f"tracker_web={self.url}/,mail_domain=example.invalid,mail_host=127.0.0.1,mail_debug={self.folder}/mail.log"
        if self.rate:
            settings += f",web_api_calls_per_interval={self.rate},web_api_interval_in_sec=20"
        self.admin("install", "classic", "sqlite", settings)
        self.admin("initialise", self.password)
        self.admin(
            "create", "user", "username=casehook", f"password={self.password}", "address=c@example.invalid", "roles=User"
        )

    def admin(self, *words):
        command = [str(self.python.parent / "roundup-admin"), "-i", str(self.home), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit(f"roundup-admin {words[0]} failed: {done.stdout[-1500:]}{done.stderr[-1500:]}")

    def arguments(self):
        return [str(self.home)]

    def own_headers(self):
        coded = base64.b64encode(f"casehook:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {coded}"}

    def connector(self, wrong_password=False, unknown_project=False):
        issue = self.url + "/rest/data/issue/{{{external.system.id}}}"
        priority = "no-such-priority" if unknown_project else "bug"
        return {
            "config": {
                "createIncidentUrl": self.url + "/rest/data/issue",
                "createIncidentJson": '{"title":{{{case.title}}},"priority":"%s"}' % priority,
                "createIncidentResponseKey": "data.id",
                "getIncidentUrl": issue,
                "getIncidentResponseExternalTitleKey": "data.attributes.title",
                "viewIncidentUrl": self.url + "/issue{{{external.system.id}}}",
                "updateIncidentUrl": issue,
                "updateIncidentJson": '{"title":{{{case.title}}}}',
                # Guards against cross-site requests, and against updates of what was not read.
                "headers": {"X-Requested-With": "rest", "Origin": self.url},
                "ifMatchHeader": True,
                "hasAuth": True,
                "maxLengths": {"title": self.longest_title},
                "maxInFlight": 2,
                "retry": {"baseMs": 200, "capMs": 2000},
            },
            "secrets": {"user": "casehook", "password": "wrong" if wrong_password else self.password},
        }

    def tickets(self):
        page = self.get("/rest/data/issue?@fields=title&@page_size=1000&@page_index=1")
        return [
            {"title": issue["title"], "description": None, "severity": None, "comments": []}
            for issue in sorted(page["data"]["collection"], key=lambda issue: int(issue["id"]))
        ]

    def severity(self, _word):
        return None


def params(number, version, comments, long=False):
    case = f"case-{number:03}"
    return {
        "incident": {
            "id": case,
            "title": f"{case} version {version}" + (" – “long” " * 40 if long else ""),
            "description": f"Disk of host {number} is full – “really”\n<b>&amp; 日本",
            "severity": "high" if number % 2 else "low",
            "tags": ["infra"],
        },
        "comments": [{"commentId": f"c{n}", "comment": f"{case} comment {n}"} for n in range(1, comments + 1)],
    }


def cut(text, longest):
    return text if len(text) <= longest else text[: longest - 1] + "…"


def refusals(casehook, server, checks):
    """Wrong credentials block the connector, a project that is not there fails the push; both say why."""
    name = server.name
    casehook("configure", "tracker", "-", document=server.connector(wrong_password=True))
    push = casehook("push", "tracker", "-", document=params(900, 1, 0))[0]["id"]
    with casehook.running(checks):
        health = lambda: casehook("stats")[0]["connectors"][0]["health"]
        until(f"{name} to refuse the password", lambda: health()["state"] == "blocked")
    checks.check(f"{name}: the reason names the status", "401" in json.dumps(health()), health())
    checks.equal(f"{name}: a blocked push waits", casehook("status", str(push))[0]["state"] in ("queued", "waiting"), True)
    report = casehook("test", "tracker", codes=(1,))[0]
    checks.check(f"{name}: test suggests what to do about 401", "refused" in (report["steps"][-1]["suggestion"] or ""), report)
    casehook("configure", "tracker", "-", document=server.connector())
    status = casehook("wait", str(push), "--timeout", "120s")[0]
    checks.equal(f"{name}: the right password delivers it", status["state"], "delivered")

    report = casehook("test", "tracker", "--get-only", status["externalId"])[0]
    checks.check(f"{name}: reading back alone works", report["ok"] and len(report["steps"]) == 1, report)
    before = len(server.tickets())
    report = casehook("test", "tracker", "--get-only", "987654", codes=(1,))[0]
    checks.equal(f"{name}: an incident that is not there", report["steps"][0]["answer"]["status"], 404)
    checks.equal(f"{name}: reading back leaves nothing", len(server.tickets()), before)

    casehook("configure", "tracker", "-", document=server.connector(unknown_project=True))
    push = casehook("push", "tracker", "-", document=params(901, 1, 0))[0]["id"]
    status = casehook("wait", str(push), "--timeout", "120s", codes=(0, 1))[0]
    checks.equal(f"{name}: an unknown project fails", (status["state"], status["error"]["httpStatus"]), ("failed", 400))
    report = casehook("test", "tracker", codes=(1,))[0]
    checks.check(f"{name}: test suggests what to do about 400", report["steps"][-1]["suggestion"], report)
    casehook("discard", str(push))
    casehook("configure", "tracker", "-", document=server.connector())


def deliver(casehook, server, count, checks):
    """`count` cases with the server away in the middle, then updates; what the server should have, by case number."""
    name, expected = server.name, {}
    comments = 2 if server.has_comments else 0

    def push(number, version, comments, long=False):
        expected[number] = params(number, version, comments, long)
        return casehook("push", "tracker", "-", document=expected[number])[0]["id"]

    def states():
        return [push["state"] for push in casehook.pushes().values()]

    with casehook.running(checks):
        # The many of the rest in one document: all or none are stored.
        bulk = [params(number, 1, 1 if server.has_comments else 0) for number in range(11, count + 1)]
        expected.update(zip(range(11, count + 1), bulk))
        casehook("push", "tracker", "-", document=bulk)
        for number in range(1, 11):
            push(number, 1, comments, long=number == 3)
        until("the first cases to arrive", lambda: states().count("delivered") > count // 5)
        server.stop()
        away = [state for state in states() if state not in DONE]
        checks.check(f"{name}: the server went away in the middle", away, "everything was delivered by then")
        for number in range(1, 6):
            push(number, 2, comments + (1 if comments else 0), long=number == 3)
        server.start()
        until("everything to be delivered", lambda: not set(states()) & {"queued", "sending", "waiting"}, patience=900)
    pushes = casehook.pushes().values()
    bad = [(push["id"], push["state"], push["error"]) for push in pushes if push["state"] not in DONE]
    checks.equal(f"{name}: every push is delivered or superseded by one that is", bad, [])
    return expected


def inspect(casehook, server, expected, checks):
    """Holds what the server has against what was pushed. Neither system can be asked whether it took a request whose answer
    was lost, so a case may be there twice, and a comment too; but only where the push says so."""
    name, by_case = server.name, {}
    uncertain = {push["caseId"] for push in casehook.pushes().values() if push["uncertain"]}
    print(f"{name}: {len(uncertain)} cases are marked uncertain", flush=True)
    for ticket in server.tickets():
        by_case.setdefault(ticket["title"].split(" ")[0], []).append(ticket)
    for number, document in sorted(expected.items()):
        case, incident = f"case-{number:03}", document["incident"]
        tickets = by_case.get(case, [])
        if case in uncertain:
            checks.check(f"{name}: {case} is there, at most sent again", 1 <= len(tickets) <= 4, tickets)
        else:
            checks.equal(f"{name}: {case} is there once", len(tickets), 1)
        for ticket in tickets[-1:]:
            title = cut(incident["title"], server.longest_title)
            checks.equal(f"{name}: {case} is up to date", ticket["title"].strip(), title.strip())
            if ticket["description"] is not None:
                checks.equal(f"{name}: {case} has its text", ticket["description"], incident["description"])
                checks.equal(f"{name}: {case} has its severity", ticket["severity"], server.severity(incident["severity"]))
            texts = [comment["comment"] for comment in document["comments"]]
            if case in uncertain:
                ticket["comments"] = list(dict.fromkeys(ticket["comments"]))
            if server.has_comments:
                checks.equal(f"{name}: {case} has each comment once, in order", ticket["comments"], texts)


def throttled(casehook, server, checks):
    """More cases than the server takes at once: it answers 429, casehook waits as asked, and everything arrives."""
    name = server.name
    casehook("configure", "tracker", "-", document=server.connector())
    expected = {number: params(number, 1, 0) for number in range(500, 503)}
    casehook("push", "tracker", "-", document=list(expected.values()))

    def settled():
        return not {push["state"] for push in casehook.pushes().values()} & {"queued", "sending", "waiting"}

    with casehook.running(checks):
        until(f"{name} to have taken everything", settled)
    pushes = casehook.pushes()
    attempts = [attempt for id in pushes for attempt in casehook("status", str(id))[0]["attemptsLog"]]
    statuses = [attempt["httpStatus"] for attempt in attempts]
    checks.check(f"{name}: its limit was met", 429 in statuses, statuses)
    states = {push["state"] for push in pushes.values()}
    checks.equal(f"{name}: everything arrived all the same", states, {"delivered"})


def run(kind, program, root, count):
    checks = Checks()
    folder = root / kind.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    server = kind(folder)
    server.prepare()
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        casehook = Casehook(str(program), folder / "cases.db")
        refusals(casehook, server, checks)
        expected = deliver(casehook, server, count, checks)
        inspect(casehook, server, expected, checks)
    limited = root / f"{kind.name}-limited"
    shutil.rmtree(limited, ignore_errors=True)
    limited.mkdir(parents=True)
    server = kind(limited, rate="4/min" if kind is Helpdesk else "2")
    server.prepare()
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        throttled(Casehook(str(program), limited / "cases.db"), server, checks)
    return checks


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--casehook", required=True, help="the program to test")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--only", choices=["helpdesk", "roundup"])
    parser.add_argument("--keep", action="store_true", help="leave databases and logs where they are")
    options = parser.parse_args()
    program = pathlib.Path(options.casehook).resolve()
    root = program.parent.parent / "live"
    passed = failed = 0
    for kind in (Helpdesk, Roundup):
        if options.only not in (None, kind.name):
            continue
        started = time.monotonic()
        checks = run(kind, program, root, options.cases)
        print(f"{kind.name}: {checks.passed} passed, {checks.failed} failed in {time.monotonic() - started:.0f} s", flush=True)
        passed, failed = passed + checks.passed, failed + checks.failed
        if not checks.failed and not options.keep:
            for folder in (root / kind.name, root / f"{kind.name}-limited"):
                shutil.rmtree(folder, ignore_errors=True)
    print(f"live: {passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
