"""For cron: opens a case when a disk is nearly full, and says so on it when it is not any more.

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
        known = agent.link("tracker", case_id) is not None
        if share >= FULL or known:
            now = datetime.now(timezone.utc)
            agent.push(
                "tracker",
                title=f"Disk of {socket.gethostname()} {'nearly full' if share >= FULL else 'has room again'}",
                description=f"{folder} is {share:.0%} full",
                case_id=case_id,
                severity="high" if share >= FULL else "low",
                comments=[(f"{now:%Y-%m-%dT%H}", f"{share:.0%} at {now:%H:%M} UTC")],
            )
        delivered = agent.flush(timeout=timedelta(minutes=1))
        failed = list(agent.pushes(state="failed", limit=10))
        for status in failed:
            print(f"push {status.id} failed: {status.error}", file=sys.stderr)
    return 0 if delivered and not failed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
