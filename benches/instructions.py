"""Counts the instructions of casehook's main verbs with callgrind and compares them with the figures kept beside this file.

A count is repeatable where time is not: the same binary takes the same, however busy the machine is. Of two runs, one with
twice the work, the difference counts, so that opening and closing do not. `--write` keeps what was counted. A change is printed and never an error: whether it is
worth what it brought is for people to say.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

KEPT = pathlib.Path(__file__).with_name("instructions.json")
# What is done, and how often.
VERBS = {"push": 500, "push_many": 2000, "preview": 500, "status": 500, "deliver": 200}


def binary(cargo):
    """The benchmark as cargo built it last."""
    command = [cargo, "bench", "-q", "--bench", "outbox", "--no-run", "--message-format", "json"]
    for line in subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "outbox" and message.get("executable"):
            return message["executable"]
    sys.exit("cargo named no executable for the benchmark")


def instructions(program, verb, count):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, "--instructions", verb, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cargo", default="cargo")
    arguments.add_argument("--write", action="store_true", help="keep the figures as those to compare with")
    options = arguments.parse_args()
    if not shutil.which("valgrind"):
        return print("valgrind is missing: apt-get install valgrind, or your system's equivalent")
    program = binary(options.cargo)
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    counted = {}
    for verb, count in VERBS.items():
        once, twice = (instructions(program, verb, n) for n in (count, 2 * count))
        counted[verb] = (twice - once) // count
        before = kept.get(verb)
        change = f"{(counted[verb] / before - 1) * 100:+.1f} %" if before else "new"
        print(f"{verb:10} {counted[verb]:>9} instructions each, {change}", flush=True)
    if options.write:
        KEPT.write_text(json.dumps(counted, indent=2) + "\n")


if __name__ == "__main__":
    main()
