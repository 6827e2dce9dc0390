#!/usr/bin/env python3
"""Sends through real TLS servers and real proxies, by the command line, and reads the targets' logs.

    net.py --casehook target/debug/casehook [--keep]

Everything stays on 127.0.0.1. Ends with `N passed, M failed`.
"""

import argparse
import base64
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

from servers import PASSWORD, PLAIN_PASSWORD, PLAIN_USER, USER, Servers, install

PROBE = "X-Probe"


class Net:
    def __init__(self, program, servers, directory):
        self.program = program
        self.servers = servers
        self.directory = directory
        self.passed = self.failed = self.runs = 0

    def check(self, what, holds, found=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {what}: {found}", flush=True)

    def file(self, name):
        return (self.servers.certificates / name).read_bytes()

    def b64(self, name):
        return base64.b64encode(self.file(name)).decode()

    def run(self, url, config, secrets, settings):
        """Configures a connector and runs one case through it: (refusal, warnings, verdict, seen by the targets)."""
        self.runs += 1
        here = self.directory / f"run{self.runs}"
        here.mkdir()
        document = {
            "config": {
                "createIncidentUrl": url,
                "createIncidentJson": '{"t": {{{case.title}}}}',
                "createIncidentResponseKey": "id",
                "viewIncidentUrl": url,
                "createOnly": True,
                "hasAuth": False,
                "timeouts": {"connectMs": 10000, "responseMs": 10000},
                **config,
            },
            "secrets": secrets,
        }
        (here / "connector.json").write_text(json.dumps(document))
        (here / "settings.json").write_text(json.dumps(settings))
        self.servers.seen()
        configured = self.casehook(here, "configure", "net", str(here / "connector.json"))
        if configured.returncode:
            return configured.stdout + configured.stderr, "", "", []
        tested = self.casehook(here, "test", "net", "--title", "x")
        text = tested.stdout + tested.stderr
        try:
            report = json.loads(tested.stdout)
            text = "ok" if report["ok"] else report["steps"][-1]["verdict"]
        except (ValueError, KeyError, IndexError):
            pass
        return "", configured.stdout + configured.stderr, text, self.servers.seen()

    def casehook(self, here, *words):
        command = [self.program, "--db", str(here / "c.db"), "--settings", str(here / "settings.json"), "--json", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def delivered(self, what, url, config=None, secrets=None, settings=None, seen="", warned="", squid=False):
        began = self.servers.squid_log()
        refusal, warnings, verdict, lines = self.run(url, config or {}, secrets or {}, settings or {})
        self.check(what, not refusal and verdict == "ok", refusal or verdict)
        if verdict == "ok":
            line = lines[-1] if lines else ""
            self.check(f"{what}: seen by the target", len(lines) >= 1 and seen in line, lines)
            self.check(f"{what}: nothing of the proxy reached it", "probe=- login=-" in line, line)
        if squid and verdict == "ok":
            lines = self.servers.squid_saw(began, "probe=seen")
            self.check(f"{what}: the proxy got its headers", lines and "probe=seen" in lines[-1], lines)
        self.check(f"{what}: warned of", warned in warnings, warnings)

    def failed_as(self, what, class_, words, url, config=None, secrets=None, settings=None):
        refusal, _, verdict, lines = self.run(url, config or {}, secrets or {}, settings or {})
        self.check(what, f"({class_})" in verdict and words in verdict, refusal or verdict)
        # nginx logs what is no HTTP, such as a TLS greeting on a plain port, without a method.
        requests = [line for line in lines if line.split()[1] != "-"]
        self.check(f"{what}: nothing reached the target", not requests, lines)

    def refused(self, what, field, words, url, config=None, secrets=None, settings=None):
        refusal, _, verdict, _ = self.run(url, config or {}, secrets or {}, settings or {})
        self.check(what, field in refusal and words in refusal, refusal or verdict)


def verification(net):
    s = net.servers
    ca = {"ca": net.b64("ca.pem")}
    https = lambda name, host="127.0.0.1": f"https://{host}:{s.ports[name]}/issue"
    hosts = lambda name, ssl: {"customHostSettings": [{"url": f"https://127.0.0.1:{s.ports[name]}", "ssl": ssl}]}
    net.delivered("full with the authority given", https("https"), ca)
    net.delivered("full by name", https("https", "localhost"), ca)
    net.delivered("TLS 1.2 alone", https("tls12"), ca, seen="TLSv1.2")
    net.delivered("TLS 1.3 alone", https("tls13"), ca, seen="TLSv1.3")
    net.failed_as("minVersion 1.3 at a TLS 1.2 server", "notSent", "TLS", https("tls12"), {**ca, "tls": {"minVersion": "1.3"}})
    net.failed_as("no authority given", "notSent", "not trusted here", https("https"))
    net.failed_as("untrusted", "notSent", "not trusted here", https("untrusted"), ca)
    net.failed_as("expired", "notSent", "expired", https("expired"), ca)
    net.failed_as("wrong host", "notSent", "another name", https("wronghost"), ca)
    net.delivered("wrong host, certificate", https("wronghost"), {**ca, "verificationMode": "certificate"})
    net.failed_as("expired, certificate", "notSent", "expired", https("expired"), {**ca, "verificationMode": "certificate"})
    for name in ["untrusted", "expired", "wronghost"]:
        net.delivered(f"{name}, none", https(name), {"verificationMode": "none"}, warned="not verified")
    net.delivered("self-signed, trusted as it is", https("selfsigned"), {"ca": net.b64("selfsigned.pem")})
    net.delivered("common name alone", https("commonname", "localhost"), ca)
    net.failed_as("common name of another host", "notSent", "another name", https("commonname"), ca)
    none, full = {"verificationMode": "none"}, {"verificationMode": "full"}
    net.delivered("none by the settings", https("untrusted"), settings={"ssl": none}, warned="not verified")
    net.delivered("none by the host", https("untrusted"), settings=hosts("untrusted", none), warned="not verified")
    net.failed_as("the host wins over the settings", "notSent", "not trusted", https("untrusted"), settings={"ssl": none, **hosts("untrusted", full)})
    net.failed_as("the connector wins over the host", "notSent", "not trusted", https("untrusted"), full, settings=hosts("untrusted", none))
    files = {"certificateAuthoritiesFiles": [str(s.certificates / "ca.pem")]}
    data = {"certificateAuthoritiesData": net.file("ca.pem").decode()}
    net.delivered("authorities of the host from a file", https("https"), settings=hosts("https", files))
    net.delivered("authorities of the host as data", https("https"), settings=hosts("https", data))
    net.failed_as("authorities of another host", "notSent", "not trusted", https("https"), settings=hosts("tls12", data))
    net.failed_as("https to an http port", "notSent", "http port", https("http"))
    net.refused("a broken authority", "config.ca", "PEM", https("https"), {"ca": "bm90IGEgcGVt"})


def client_certificates(net):
    ca = {"ca": net.b64("ca.pem")}
    auth = {"hasAuth": True, "authType": "webhook-authentication-ssl", **ca}
    pem, pfx = {**auth, "certType": "ssl-crt-key"}, {**auth, "certType": "ssl-pfx"}
    pair = lambda crt, key, **more: {"crt": net.b64(crt), "key": net.b64(key), **more}
    secret = {"password": "opensesame"}
    for name in ["mtls12", "mtls13"]:
        url = f"https://127.0.0.1:{net.servers.ports[name]}/issue"
        client = "client=CN=client.test"
        net.delivered(f"{name}: PKCS #8", url, pem, pair("client.pem", "client.key"), seen=client)
        net.delivered(f"{name}: RSA", url, pem, pair("rsa.pem", "rsa.pkcs1.key"), seen="client=CN=rsa.test")
        net.delivered(f"{name}: PKCS #12", url, pfx, {"pfx": net.b64("client.modern.p12"), **secret}, seen=client)
        refusal, _, verdict, lines = net.run(url, pem, pair("foreign.pem", "foreign.key"), {})
        net.check(f"{name}: a strange authority's certificate", verdict != "ok" and "400" in verdict, refusal or verdict)
        refusal, _, verdict, lines = net.run(url, ca, {}, {})
        net.check(f"{name}: no certificate is a 400 of nginx", "400" in verdict, refusal or verdict)
    url = f"https://127.0.0.1:{net.servers.mtls13}/issue"
    client = "client=CN=client.test"
    for name in ["client.pkcs8.aes.key", "client.pkcs8.des3.key", "client.sec1.aes.key", "client.sec1.des3.key"]:
        net.delivered(name, url, pem, pair("client.pem", name, **secret), seen=client)
        net.refused(f"{name}, wrong passphrase", "secrets.password", "passphrase", url, pem, pair("client.pem", name, password="wrong"))
        net.refused(f"{name}, no passphrase", "secrets.password", "passphrase", url, pem, pair("client.pem", name))
    net.delivered("client.sec1.key", url, pem, pair("client.pem", "client.sec1.key"), seen=client)
    net.delivered("rsa.pkcs1.aes.key", url, pem, pair("rsa.pem", "rsa.pkcs1.aes.key", **secret), seen="client=CN=rsa.test")
    for name in ["client.modern.p12", "client.legacy.p12"]:
        net.delivered(name, url, pfx, {"pfx": net.b64(name), **secret}, seen=client)
        net.refused(f"{name}, wrong passphrase", "secrets.password", "passphrase", url, pfx, {"pfx": net.b64(name), "password": "wrong"})
    net.delivered("client.nopass.p12", url, pfx, {"pfx": net.b64("client.nopass.p12")}, seen=client)
    net.refused("garbage for PKCS #12", "secrets.pfx", "PKCS #12", url, pfx, {"pfx": net.b64("client.pem")})
    net.refused("another certificate's key", "secrets.key", "does not belong", url, pem, pair("client.pem", "soon.key"))
    net.refused("garbage for a certificate", "secrets.crt", "PEM", url, pem, {"crt": "Y3J0", "key": net.b64("client.key")})
    net.delivered("expires soon", url, pem, pair("soon.pem", "soon.key"), seen="client=CN=soon.test", warned="expires at")
    _, warnings, verdict, _ = net.run(url, pem, pair("lapsed.pem", "lapsed.key"), {})
    net.check("expired: a warning at configure", "expired at" in warnings, warnings)
    net.check("expired: a refusal of nginx", "400" in verdict, verdict)
    hop = f"https://127.0.0.1:{net.servers.https}/mutual"
    _, _, verdict, lines = net.run(hop, pem, pair("client.pem", "client.key"), {})
    net.check("the certificate is not shown where a redirect leads", "400" in verdict and "client=- " in lines[-1], (verdict, lines))
    _, warnings, verdict, _ = net.run(f"http://127.0.0.1:{net.servers.http}/issue", pem, {"crt": "Y3J0", "key": "a2V5"}, {})
    net.check("over http alone: a warning", "not checked" in warnings and verdict == "ok", (warnings, verdict))


def proxies(net):
    s = net.servers
    ca = {"ca": net.b64("ca.pem")}
    quoted = lambda text: urllib.parse.quote(text, safe="")
    proxy = lambda scheme, name, user="", password="": f"{scheme}://{quoted(user)}:{quoted(password)}@127.0.0.1:{s.ports[name]}" if user else f"{scheme}://127.0.0.1:{s.ports[name]}"
    targets = {
        "http": (f"http://127.0.0.1:{s.http}/issue", {}),
        "https": (f"https://127.0.0.1:{s.https}/issue", ca),
        "name": (f"http://localhost:{s.http}/issue", {}),
    }
    through = lambda url, **more: {"proxyUrl": url, "proxyHeaders": {PROBE: "seen"}, **more}
    good = {
        "squid": proxy("http", "squid"),
        "squid with login": proxy("http", "squid_login", USER, PASSWORD),
        "tinyproxy with login": proxy("http", "tinyproxy", PLAIN_USER, PLAIN_PASSWORD),
        "microsocks": proxy("socks5", "socks"),
        "microsocks, remote names": proxy("socks5h", "socks"),
        "microsocks with login": proxy("socks5h", "socks_login", PLAIN_USER, PLAIN_PASSWORD),
        "dante": proxy("socks5", "dante"),
        "dante, remote names": proxy("socks5h", "dante"),
    }
    for name, url in good.items():
        for kind, (target, config) in targets.items():
            net.delivered(f"{name}, {kind}", target, config, settings=through(url), squid=name.startswith("squid"))
    bad = {
        "squid, no login": (proxy("http", "squid_login"), "407"),
        "squid, wrong login": (proxy("http", "squid_login", USER, "wrong"), "407"),
        "tinyproxy, no login": (proxy("http", "tinyproxy"), "407"),
        # tinyproxy has its own mind about the status of a login that is wrong.
        "tinyproxy, wrong login": (proxy("http", "tinyproxy", PLAIN_USER, "wrong"), "401"),
        "microsocks, no login": (proxy("socks5", "socks_login"), "login"),
        "microsocks, wrong login": (proxy("socks5", "socks_login", PLAIN_USER, "wrong"), "login"),
    }
    for name, (url, words) in bad.items():
        for kind in ["http", "https"]:
            target, config = targets[kind]
            net.failed_as(f"{name}, {kind}", "auth", words, target, config, settings=through(url))
    dead_http, dead_https = f"http://127.0.0.1:{s.nothing}/issue", f"https://127.0.0.1:{s.nothing}/issue"
    for name, url in good.items():
        net.failed_as(f"{name}, dead https target", "notSent", "proxy", dead_https, settings=through(url))
        if name.startswith("tinyproxy"):
            net.failed_as(f"{name}, dead http target", "uncertain", "500", dead_http, settings=through(url))
        else:
            net.failed_as(f"{name}, dead http target", "notSent", "proxy", dead_http, settings=through(url))
    for scheme in ["http", "https", "socks5", "socks5h"]:
        net.failed_as(f"dead {scheme} proxy", "notSent", "proxy cannot be reached", targets["https"][0], ca, settings=through(proxy(scheme, "nothing")))
    net.failed_as("squid's rules", "notSent", "ERR_ACCESS_DENIED", f"http://127.0.0.1:{s.http}/forbidden", settings=through(good["squid"]))
    net.failed_as("dante's rules", "notSent", "proxy", f"https://127.0.0.1:{s.untrusted}/issue", settings=through(good["dante"]))
    tls = proxy("https", "squid_tls")
    trusted = {"customHostSettings": [{"url": tls, "ssl": {"certificateAuthoritiesData": net.file("ca.pem").decode()}}]}
    for kind, (target, config) in targets.items():
        net.delivered(f"https proxy, {kind}", target, config, settings=through(tls, **trusted), squid=True)
        unverified = through(tls, ssl={"proxyVerificationMode": "none"})
        net.delivered(f"https proxy not verified, {kind}", target, config, settings=unverified, warned="not verified")
        net.failed_as(f"https proxy not trusted, {kind}", "notSent", "not trusted", target, config, settings=through(tls))
        net.failed_as(f"ssl.verificationMode is not the proxy's, {kind}", "notSent", "not trusted", target, config, settings=through(tls, ssl={"verificationMode": "none"}))
    target, config = targets["http"]
    dead = proxy("http", "nothing")
    net.delivered("bypass", target, settings=through(dead, proxyBypassHosts=["127.0.0.1"]))
    net.failed_as("not on the bypass list", "notSent", "proxy", target, settings=through(dead, proxyBypassHosts=["localhost"]))
    net.delivered("not on the only list", target, settings=through(dead, proxyOnlyHosts=["localhost"]))
    net.failed_as("on the only list", "notSent", "proxy", target, settings=through(dead, proxyOnlyHosts=["127.0.0.1"]))
    own = lambda url, **more: {"proxy": {"url": url, **more}}
    net.delivered("a connector's own proxy", target, own(good["squid"], headers={PROBE: "seen"}), settings=through(dead), squid=True)
    net.delivered("a connector's own direct way", target, own("direct"), settings=through(dead))
    login = {"proxyUser": USER, "proxyPassword": PASSWORD}
    net.delivered("a connector's own proxy with login", target, own(proxy("http", "squid_login")), login)
    net.failed_as("a connector's own proxy, wrong login", "auth", "407", target, own(proxy("http", "squid_login")), {**login, "proxyPassword": "wrong"})
    net.delivered("a connector's own https proxy", target, own(tls, ca=net.b64("ca.pem")))
    net.refused("a connector's own proxy outside of allowedHosts", "config.proxy.url", "allowedHosts", f"http://localhost:{s.http}/issue", own(dead), settings={"allowedHosts": ["localhost"]})


def the_rest(net):
    s = net.servers
    http = f"http://127.0.0.1:{s.http}/issue"
    oauth = {
        "hasAuth": True,
        "authType": "webhook-oauth2-client-credentials",
        "accessTokenUrl": f"https://127.0.0.1:{s.https}/token",
        "clientId": "me",
        "ca": net.b64("ca.pem"),
    }
    secret = {"clientSecret": "very secret"}
    net.delivered("OAuth2 with the token over TLS", http, oauth, secret, seen="authorization=Bearer tok-1")
    through = {"proxyUrl": f"http://127.0.0.1:{s.squid}", "proxyHeaders": {PROBE: "seen"}}
    net.delivered("OAuth2 through a proxy", http, oauth, secret, through, seen="authorization=Bearer tok-1")
    net.failed_as("no token over untrusted TLS", "notSent", "not trusted", http, {**oauth, "ca": ""}, secret)
    refusal, _, verdict, _ = net.run(http, {**oauth, "accessTokenUrl": http}, secret, {})
    net.check("an answer without a token", "(auth)" in verdict and "access_token" in verdict, refusal or verdict)
    deny = {"denyPrivateAddresses": True}
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"]:
        url, field = f"http://{host}:{s.http}/issue", "config.createIncidentUrl"
        net.refused(f"denyPrivateAddresses, {host}", field, "denyPrivateAddresses", url, settings=deny)
        net.refused(f"denyPrivateAddresses through a proxy, {host}", field, "denyPrivateAddresses", url, settings={**deny, **through})
    refusal, _, verdict, _ = net.run(f"https://127.0.0.1:{s.https}/away", {"ca": net.b64("ca.pem")}, {}, {})
    net.check("a redirect from https to http", "(permanent)" in verdict and "https to http" in verdict, refusal or verdict)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--casehook", required=True)
    arguments.add_argument("--keep", action="store_true")
    options = arguments.parse_args()
    install()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="casehook-net-"))
    began = time.monotonic()
    try:
        with Servers(directory) as servers:
            net = Net(options.casehook, servers, directory)
            for part in [verification, client_certificates, proxies, the_rest]:
                before = net.passed, net.failed
                part(net)
                print(f"{part.__name__}: {net.passed - before[0]} passed, {net.failed - before[1]} failed", flush=True)
    finally:
        if options.keep:
            print(directory)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    print(f"network: {net.passed} passed, {net.failed} failed in {time.monotonic() - began:.0f} s")
    sys.exit(1 if net.failed else 0)


if __name__ == "__main__":
    main()
