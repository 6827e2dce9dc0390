"""A server that answers from a script: one queue for all its listeners, every request written down as it stood on the wire."""

from __future__ import annotations

import base64
import socket
import socketserver
import ssl
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TLS_FILES = Path(__file__).parents[3] / "tests" / "conformance" / "vectors" / "tls-files"


@dataclass
class Received:
    """One request: names of headers in lower case, repeated ones joined."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str | None = None
    """The common name of the client's certificate."""


class Scripted:
    """Two listeners on 127.0.0.1, one more behind TLS where asked for and, where the machine has it, one on ``[::1]``."""

    def __init__(self, tls: bool = False) -> None:
        self.lines: deque[dict[str, Any]] = deque()
        self.received: list[Received] = []
        self._lock = threading.Lock()
        self._leave = threading.Event()
        self._servers = {"": self._listen("127.0.0.1"), "2": self._listen("127.0.0.1")}
        if socket.has_ipv6:
            try:
                self._servers["6"] = self._listen("::1")
            except OSError:
                pass
        self._tls = self._listen("127.0.0.1", tls_context()) if tls else None

    def fill(self, text: str) -> str:
        """Replaces the tokens of the vectors by this server's addresses."""
        for suffix, server in self._servers.items():
            host, port = server.server_address[:2]
            authority = f"[{host!s}]:{port}" if suffix == "6" else f"{host!s}:{port}"
            text = text.replace(f"__BASE{suffix}__", f"http://{authority}")
            text = text.replace(f"__HOST{suffix}__", authority).replace(f"__PORT{suffix}__", str(port))
        if self._tls is not None:
            port = self._tls.server_address[1]
            text = text.replace("__TLS__", f"https://127.0.0.1:{port}").replace("__TLSPORT__", str(port))
        return text

    def close(self) -> None:
        self._leave.set()
        for server in [*self._servers.values(), *([self._tls] if self._tls else [])]:
            server.shutdown()
            server.server_close()

    def _listen(self, host: str, tls: ssl.SSLContext | None = None) -> socketserver.ThreadingTCPServer:
        scripted = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True
            client: str | None = None

            def setup(self) -> None:
                if tls is not None:
                    self.request = tls.wrap_socket(self.request, server_side=True)
                    self.client = common_name(self.request.getpeercert())
                super().setup()

            def handle(self) -> None:
                try:
                    while scripted._converse(self):
                        pass
                except (OSError, ValueError):
                    pass

            def finish(self) -> None:
                super().finish()
                if tls is not None:
                    # The server closes only the socket that it knows.
                    self.request.close()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that does not trust this server, and ends the handshake, is nothing to tell."""

        server = Server((host, 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def _converse(self, handler: socketserver.StreamRequestHandler) -> bool:
        """One request and its answer; whether the connection goes on."""
        request = _read(handler)
        if request is None:
            return False
        request.client = getattr(handler, "client", None)
        with self._lock:
            self.received.append(request)
            # Not in the script: the extra request shows in what was received.
            line = self.lines.popleft() if self.lines else {"status": 500}
        if self._leave.wait(line.get("delay_ms", 0) / 1000) or line.get("destroy"):
            return False
        handler.wfile.write(_answer(line))
        return not line.get("truncate") and request.headers.get("connection") != "close"


def tls_context() -> ssl.SSLContext:
    """Shows the vectors' certificate, and asks the client for one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS_FILES / "server.pem", TLS_FILES / "server.key")
    context.load_verify_locations(TLS_FILES / "ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def common_name(certificate: Any) -> str | None:
    """Whose certificate it is, as ``getpeercert`` gives it."""
    names = [value for part in (certificate or {}).get("subject", ()) for name, value in part if name == "commonName"]
    return names[0] if names else None


def _read(handler: socketserver.StreamRequestHandler) -> Received | None:
    first = handler.rfile.readline().decode("latin-1")
    if not first:
        return None
    method, target, _version = first.split(" ", 2)
    request = Received(method, target)
    while name := handler.rfile.readline().decode("latin-1").rstrip("\r\n"):
        name, value = name.split(":", 1)
        known = request.headers.get(name.lower())
        request.headers[name.lower()] = value.strip() if known is None else f"{known}, {value.strip()}"
    if request.headers.get("transfer-encoding") == "chunked":
        while size := int(handler.rfile.readline(), 16):
            request.body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
    else:
        request.body = handler.rfile.read(int(request.headers.get("content-length", 0)))
    return request


def _answer(line: dict[str, Any]) -> bytes:
    status, body = line.get("status") or 0, _body(line)
    head = [f"HTTP/1.1 {status} {_plain(line.get('reason'))}"]
    for name, value in (line.get("headers") or {}).items():
        head += [f"{name}: {_plain(one)}" for one in (value if isinstance(value, list) else [value])]
    if line.get("truncate"):
        head.append(f"content-length: {len(body) + 10}")
    elif line.get("chunked"):
        head.append("transfer-encoding: chunked")
        half = len(body) // 2
        parts = [part for part in (body[:half], body[half:]) if part]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    elif status not in (204, 304):
        head.append(f"content-length: {len(body)}")
    else:
        body = b""
    text = "\r\n".join(head) + "\r\n\r\n"
    try:
        return text.encode("latin-1") + body
    except UnicodeEncodeError:
        return text.encode() + body


def _body(line: dict[str, Any]) -> bytes:
    if isinstance(line.get("body_b64"), str):
        return base64.b64decode(line["body_b64"])
    if made := line.get("body_gen"):
        return (_plain(made["prefix"]) + _plain(made["repeat"]) * made["count"] + _plain(made["suffix"])).encode()
    return _plain(line.get("body")).encode()


def _plain(value: Any) -> str:
    import json

    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
