"""postgres.py URL SPOOL CONNECTOR.json: pushes to a database server, and to a spool while the server is away.

Says "ready" when the server may be cut off, then "spooled" when it may be back; a line on standard input says it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import casehook


def said(word: str) -> None:
    print(word, flush=True)
    assert sys.stdin.readline()


def delivered(agent: casehook.Agent, push: int) -> casehook.PushStatus:
    while True:
        try:
            status = agent.wait(push, timeout=120)
        except casehook.BusyError as error:
            # The server may not be back for every connection at once.
            assert error.retryable
            continue
        assert status.state == "delivered", status
        return status


def main(url: str, spool: str, connector: str) -> None:
    with casehook.Agent(url, key=bytes(31) + b"\x07", spool=spool) as agent:
        agent.configure("tracker", Path(connector).read_text())
        push = agent.push("tracker", title="a", case_id="c")
        assert push > 0 and delivered(agent, push).id == push
        said("ready")

        spooled = agent.push("tracker", title="b", case_id="c")
        assert spooled < 0 and agent.status(spooled).state == "queued"
        try:
            agent.stats()
        except casehook.BusyError:
            pass
        else:
            raise AssertionError("the database is away")
        said("spooled")

        assert delivered(agent, spooled).id > push
        assert agent.status(spooled).id == agent.wait(spooled, timeout=120).id


if __name__ == "__main__":
    main(*sys.argv[1:])
