"""Real nginx, squid, tinyproxy, microsocks and dante on free ports of 127.0.0.1, stopped when the block is left."""

import contextlib
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

PACKAGES = "nginx-light squid tinyproxy microsocks dante-server apache2-utils openssl"
PROGRAMS = ["nginx", "squid", "tinyproxy", "microsocks", "danted", "openssl"]
PATIENCE = 60
USER, PASSWORD = "proxy user", "p@ss:w%rd"
# tinyproxy and microsocks take neither blanks nor signs.
PLAIN_USER, PLAIN_PASSWORD = "proxyuser", "proxypass"


def install():
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    os.environ["PATH"] = path
    if all(shutil.which(program) for program in PROGRAMS):
        return
    if os.geteuid() != 0:
        sys.exit(f"these programs are needed: apt-get install {PACKAGES}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES.split()]):
        subprocess.run(["apt-get", "-qq", *command], env=environment, stdout=subprocess.DEVNULL, check=True)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def await_port(port):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


class Servers:
    NAMES = """http https mtls12 mtls13 expired wronghost untrusted selfsigned commonname tls12 tls13
        squid squid_login squid_tls tinyproxy socks socks_login dante nothing""".split()

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.certificates = self.directory / "certificates"
        self.ports = dict(zip(self.NAMES, free_ports(len(self.NAMES))))
        self.processes = []
        # Of the targets' log: our own requests in it, and the lines read.
        self.marks = self.taken = 0

    def __getattr__(self, name):
        return self.__dict__["ports"][name]

    def __enter__(self):
        self.certificates.mkdir()
        self.directory.chmod(0o755)
        here = pathlib.Path(__file__).resolve().parent
        subprocess.run(["sh", str(here / "certificates.sh"), str(self.certificates)], check=True)
        try:
            self.nginx()
            self.squids()
            self.others()
            self.tls_in_front_of_squid()
            for name, port in self.ports.items():
                if name != "nothing":
                    await_port(port)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def start(self, *command):
        log = open(self.directory / f"{command[0]}.out", "ab")
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def nginx(self):
        def server(name, certificate, more=""):
            files = f"{self.certificates}/{certificate}"
            return (
                f"server {{ listen 127.0.0.1:{self.ports[name]} ssl; ssl_certificate {files}.pem; "
                f"ssl_certificate_key {files}.key; {more} {answers} }}\n"
            )

        # What answers stands behind a second server: one that passes a request on reads its body before it answers, and
        # where it does not linger logs it before whatever comes next.
        answers = f"location / {{ proxy_pass http://unix:{self.directory}/answers.sock:; }}"
        behind = """
            location = /token { default_type application/json; return 200 '{"access_token":"tok-1","expires_in":300}'; }
            location = /away { return 307 http://127.0.0.1:%d/issue; }
            location = /mutual { return 307 https://127.0.0.1:%d/issue; }
            location / { default_type application/json; return 201 '{"id":"7"}'; }""" % (self.http, self.mtls13)
        mutual = f"ssl_client_certificate {self.certificates}/ca.pem; ssl_verify_client on;"
        user = "user www-data;" if os.geteuid() == 0 else ""
        paths = "".join(
            f"{kind}_temp_path {self.directory}/{kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        )
        (self.directory / "nginx.conf").write_text(
            f"""daemon off; {user} worker_processes 1; pid {self.directory}/nginx.pid;
            error_log {self.directory}/nginx-error.log info; events {{ worker_connections 256; }}
            http {{ {paths} lingering_close off;
            log_format seen '$server_port $request_method $request_uri host=$http_host probe=$http_x_probe '
                'login=$http_proxy_authorization authorization=$http_authorization client=$ssl_client_s_dn $ssl_protocol';
            access_log {self.directory}/seen.log seen;
            server {{ listen unix:{self.directory}/answers.sock; access_log off; {behind} }}
            server {{ listen 127.0.0.1:{self.http}; {answers} }}
            """
            + server("https", "good")
            + server("mtls12", "good", mutual + "ssl_protocols TLSv1.2;")
            + server("mtls13", "good", mutual + "ssl_protocols TLSv1.3;")
            + "".join(server(n, n) for n in ["expired", "wronghost", "untrusted", "selfsigned", "commonname"])
            + server("tls12", "good", "ssl_protocols TLSv1.2;")
            + server("tls13", "good", "ssl_protocols TLSv1.3;")
            + "}\n"
        )
        self.start("nginx", "-c", str(self.directory / "nginx.conf"), "-e", str(self.directory / "nginx-error.log"))

    def squids(self):
        home = self.directory / "squid"
        home.mkdir()
        if os.geteuid() == 0:
            shutil.chown(home, "proxy", "proxy")
        crypted = subprocess.run(
            ["openssl", "passwd", "-apr1", "-stdin"], input=PASSWORD, text=True, capture_output=True, check=True
        ).stdout.strip()
        passwords = home / "passwords"
        passwords.write_text(f"{USER}:{crypted}\n")
        (self.directory / "squid.conf").write_text(
            f"""http_port 127.0.0.1:{self.squid} name=open
            http_port 127.0.0.1:{self.squid_login} name=login
            auth_param basic program /usr/lib/squid/basic_ncsa_auth {passwords}
            auth_param basic realm casehook
            acl by_login myportname login
            acl by_open myportname open
            acl known proxy_auth REQUIRED
            acl here dst 127.0.0.0/8
            acl forbidden urlpath_regex ^/forbidden
            http_access deny forbidden
            http_access allow by_open
            http_access allow by_login known
            http_access deny all
            cache deny all
            forward_max_tries 1
            pid_filename {home}/squid.pid
            logformat seen %rm %ru probe=%{{X-Probe}}>h
            access_log stdio:{home}/access.log seen
            cache_log {home}/cache.log
            coredump_dir {home}
            netdb_filename none
            pinger_enable off
            shutdown_lifetime 1 second
            visible_hostname casehook.test
            cache_mem 8 MB
            """
        )
        self.start("squid", "-N", "-f", str(self.directory / "squid.conf"))

    def others(self):
        group = "User nobody\nGroup nogroup\n" if os.geteuid() == 0 else ""
        (self.directory / "tinyproxy.conf").write_text(
            f"{group}Port {self.tinyproxy}\nListen 127.0.0.1\nTimeout 30\nMaxClients 20\nAllow 127.0.0.1\n"
            f"BasicAuth {PLAIN_USER} {PLAIN_PASSWORD}\n"
        )
        self.start("tinyproxy", "-d", "-c", str(self.directory / "tinyproxy.conf"))
        self.start("microsocks", "-i", "127.0.0.1", "-p", str(self.socks))
        self.start(
            "microsocks", "-i", "127.0.0.1", "-p", str(self.socks_login), "-u", PLAIN_USER, "-P", PLAIN_PASSWORD
        )
        (self.directory / "danted.conf").write_text(
            f"""logoutput: {self.directory}/danted.log
            internal: 127.0.0.1 port = {self.dante}
            external: lo
            clientmethod: none
            socksmethod: none
            client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
            socks block {{ from: 127.0.0.0/8 to: 127.0.0.0/8 port = {self.untrusted} protocol: tcp }}
            socks pass {{ from: 127.0.0.0/8 to: 127.0.0.0/8 protocol: tcp }}
            """
        )
        self.start("danted", "-f", str(self.directory / "danted.conf"), "-p", str(self.directory / "danted.pid"))

    def tls_in_front_of_squid(self):
        """Debian's squid speaks no TLS to its clients; this does, and hands on to it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificates / "good.pem", self.certificates / "good.key")
        listener = socket.create_server(("127.0.0.1", self.squid_tls))

        def copy(source, sink):
            with contextlib.suppress(OSError):
                while piece := source.recv(65536):
                    sink.sendall(piece)
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_RDWR)

        def serve(raw):
            with contextlib.suppress(OSError):
                outer = context.wrap_socket(raw, server_side=True)
                inner = socket.create_connection(("127.0.0.1", self.squid))
                threading.Thread(target=copy, args=(inner, outer), daemon=True).start()
                copy(outer, inner)

        def accept():
            while True:
                raw, _ = listener.accept()
                threading.Thread(target=serve, args=(raw,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def squid_log(self):
        """What squid has logged so far."""
        log = self.directory / "squid" / "access.log"
        return log.read_text().splitlines() if log.exists() else []

    def squid_saw(self, before, words):
        """What squid has logged after that, as soon as these words are in it: a tunnel is logged when it is closed."""
        deadline = time.monotonic() + 30
        while True:
            lines = self.squid_log()[len(before) :]
            if any(words in line for line in lines) or time.monotonic() > deadline:
                return lines
            time.sleep(0.01)

    def seen(self):
        """Takes what the targets have logged since the last time.

        nginx logs a request after its answer has gone out, in the same turn of its one worker, so what it logs before a
        request of our own is all there is.
        """
        self.marks += 1
        mark = f"/mark-{self.marks}"
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{mark}", timeout=30) as answer:
            answer.read()
        log = self.directory / "seen.log"
        deadline = time.monotonic() + 30
        while True:
            lines = log.read_text().splitlines() if log.exists() else []
            at = next((at for at, line in enumerate(lines) if f" {mark} " in line), None)
            if at is not None:
                taken, self.taken = self.taken, at + 1
                return lines[taken:at]
            if time.monotonic() > deadline:
                raise TimeoutError(f"nginx has not logged {mark}")
            time.sleep(0.01)
