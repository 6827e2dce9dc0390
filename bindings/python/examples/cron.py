"""For cron: opens a case when a disk gets nearly full, and says so on it when it is not any more.

    */10 * * * *  python3 cron.py /var/lib/casehook/cases.db connector.json /var

What cannot be delivered within the run stays in the database; the next run delivers it.
"""

from __future__ import annotations

import shutil
import socket
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import casehook

FULL = 0.9


def main(database: str, document: str, folder: str) -> int:
    used = shutil.disk_usage(folder)
    share = used.used / used.total
    case_id = f"{socket.gethostname()}{folder}/disk"
    with casehook.Agent(database) as agent:
        agent.configure("tracker", Path(document).read_text())
        is_full = share >= FULL
        if is_full != was_full(agent, case_id):
            now, word = datetime.now(timezone.utc), "full" if is_full else "room"
            agent.push(
                "tracker",
                title=f"Disk of {socket.gethostname()} {'nearly full' if is_full else 'has room again'}",
                description=f"{folder} is {share:.0%} full",
                case_id=case_id,
                severity="high" if is_full else "low",
                comments=[(f"{now:%Y-%m-%dT%H:%M:%S.%f} {word}", f"{share:.0%} at {now:%H:%M} UTC")],
            )
        delivered = agent.flush(timeout=timedelta(minutes=1))
        failed = list(agent.pushes(state="failed", limit=10))
        for status in failed:
            print(f"push {status.id} failed: {status.error}", file=sys.stderr)
    return 0 if delivered and not failed else 1


def was_full(agent: casehook.Agent, case_id: str) -> bool:
    """What the last push of an earlier run said, as its latest comment's id tells."""
    last = next(agent.pushes(connector="tracker", case_id=case_id, limit=1), None)
    return last is not None and max(last.comments)[0].endswith("full")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
