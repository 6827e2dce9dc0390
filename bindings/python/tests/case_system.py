"""A small case system on loopback: tickets, notes, and a way to be slow."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class CaseSystem:
    """Serves ``/tickets`` on a free port. ``delay`` is how long it thinks before it answers, in seconds."""

    def __init__(self, port: int = 0, delay: float = 0.0) -> None:
        self.delay = delay
        self.tickets: dict[int, dict[str, Any]] = {}
        self.methods: list[str] = []
        self.arrived = threading.Event()
        self.leave = threading.Event()
        self._lock = threading.Lock()
        system = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body go out in two pieces.
            disable_nagle_algorithm = True

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                system.arrived.set()
                system.leave.wait(system.delay)
                status, answer = system._answer(self.command, self.path, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = handle_one

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that went away is nothing to tell."""

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.leave.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        with self._lock:
            self.methods.append(method)
            if method == "POST" and parts == ["tickets"]:
                ticket = {"id": len(self.tickets) + 1, **json.loads(body), "notes": []}
                self.tickets[ticket["id"]] = ticket
                return 201, ticket
            ticket = self.tickets.get(int(parts[1])) if len(parts) > 1 else None  # type: ignore[assignment]
            if ticket is None:
                return 404, {"error": "no such ticket"}
            if parts[2:] == ["notes"]:
                ticket["notes"].append(json.loads(body)["text"])
            elif method == "PUT":
                ticket.update(json.loads(body))
            return 200, ticket


def config(port: int, **more: Any) -> dict[str, Any]:
    """A connector to the case system at that port."""
    base = f"http://127.0.0.1:{port}/tickets"
    one = base + "/{{{external.system.id}}}"
    case = '{"subject": {{{case.title}}}, "text": {{{case.description}}}}'
    return {
        "createIncidentUrl": base,
        "createIncidentJson": case,
        "createIncidentResponseKey": "id",
        "getIncidentUrl": one,
        "getIncidentResponseExternalTitleKey": "subject",
        "viewIncidentUrl": one,
        "updateIncidentUrl": one,
        "updateIncidentJson": case,
        "createCommentUrl": one + "/notes",
        "createCommentMethod": "post",
        "createCommentJson": '{"text": {{{case.comment}}}}',
        "hasAuth": False,
        **more,
    }


def free_port() -> int:
    """A port that nobody listens at."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
