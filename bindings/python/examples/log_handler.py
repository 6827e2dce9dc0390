"""Opens a case for every error that a program logs."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import casehook
from casehook.logging import CaseHandler


def main(database: str, document: str) -> None:
    with casehook.Agent(database) as agent:
        for warning in agent.configure("tracker", Path(document).read_text()):
            print(warning, file=sys.stderr)
        logging.basicConfig(level=logging.INFO)
        logging.getLogger().addHandler(CaseHandler(agent, "tracker", quiet=600, tags=("shop",)))

        log = logging.getLogger("shop.orders")
        for number in range(3):
            try:
                raise ConnectionError(f"no answer to order {number}")
            except ConnectionError:
                # Three records, one case.
                log.exception("order %d was not placed", number)
        agent.flush(timeout=30)


if __name__ == "__main__":
    main(*sys.argv[1:3])
