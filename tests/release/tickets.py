#!/usr/bin/env python3
"""The README's https://tickets.example.com on a free port of loopback: prints its address, serves until it is ended."""

import http.server
import json

tickets: list[dict] = []


class Tickets(http.server.BaseHTTPRequestHandler):
    """Answers every request with the ticket it is about."""

    def answer(self) -> None:
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

    def log_message(self, *args: object) -> None:
        """Quiet."""


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tickets)
print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
