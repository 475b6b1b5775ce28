"""CPU per token exchange (RFC 8693) of our broker beside Keycloak, in one run on one machine.

The same work for both: 64 connections that stay open; a client that authenticates with a fresh `private_key_jwt` assertion in each request
(ES256, good for one request); a subject token (ES256) to verify; an ES256 access token to sign. Ours has one SQLite file on disk and puts each
answer on record, durably, before it is given, and gets another subject token in each request. Keycloak keeps everything in memory, records no events,
runs as its own `kc.sh start` (production mode) and is warmed by the same load for a minute. Load generator on the first core, servers on the second.
Rounds are interleaved. Reported is the CPU time of the server process divided by the answers. Any answer but 2xx voids the run.

usage: exchange.py --binaries DIR --keycloak DIR [--store DIR] [--rounds 3] [--seconds 10] [--warm 60] [--markdown FILE]
"""

import argparse
import base64
import contextlib
import json
import os
import pathlib
import platform
import re
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from run import cpu_seconds, free_port, percentile, resident_kib, start

CONNECTIONS = 64
CLIENT = "requester"
# More than either server answers in a second of this load on one core.
MOST_A_SECOND = {"Symbolon": 9_000, "Keycloak": 1_500}


@dataclass
class Server:
    """A running server, where it takes exchanges, and how many of its forms were sent."""

    name: str
    process: subprocess.Popen
    pid: int
    port: int
    path: str
    audience: str
    subject: str | None = None
    idle_kib: int = 0
    sent: int = 0
    rows: list[dict] = field(default_factory=list)


def post(url: str, form: dict | None = None, document: dict | None = None, bearer: str | None = None) -> dict:
    """Posts a form or a document; returns the JSON of the answer."""
    body = urllib.parse.urlencode(form) if form is not None else json.dumps(document)
    kind = "application/x-www-form-urlencoded" if form is not None else "application/json"
    request = urllib.request.Request(url, body.encode(), {"Content-Type": kind})
    if bearer:
        request.add_header("Authorization", f"Bearer {bearer}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"{}")


def wait_until(what: str, process: subprocess.Popen, seconds: float, attempt) -> dict:
    """Tries until there is an answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{what}: the server ended with {process.returncode}")
        try:
            return attempt()
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
    sys.exit(f"{what}: not in time")


def end(process: subprocess.Popen) -> None:
    """Ends a server that this run started, and the one that a script started for it."""
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    started = [int(child) for child in children.read_text().split()] if process.poll() is None else []
    for pid in started or [process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(30)


class Run:
    """One run: the material and both servers."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self.options, self.folder = options, folder
        self.generate("keys")

    def generate(self, *arguments: str) -> str:
        """Asks our generator for keys or forms."""
        generator = pathlib.Path(self.options.binaries) / "examples" / "bench-exchange"
        command = [str(generator), str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def floor(self) -> float:
        """CPU µs of two ES256 verifications and a signature, with nothing around them."""
        rounds = 20_000
        before = sum(os.times()[2:4])
        self.generate("floor", str(rounds))
        return (sum(os.times()[2:4]) - before) / rounds * 1e6

    def symbolon(self) -> Server:
        """Our broker with one registered client, one issuer of users and one resource."""
        port, admin, store = free_port(), free_port(), pathlib.Path(self.options.store or self.folder) / "symbolon-bench.db"
        for old in store.parent.glob(f"{store.name}*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        url = f"http://127.0.0.1:{port}"
        (self.folder / "sealing-key").write_text(secrets.token_urlsafe(32))
        (self.folder / "policies").mkdir()
        (self.folder / "policies/bench.cedar").write_text(
            '@id("exchange") permit (principal, action == Symbolon::Action::"exchange", resource == Symbolon::Resource::"orders")\n'
            f'when {{ context.scope == "orders:read" && principal has client && principal.client.id == "{CLIENT}" }};\n'
        )
        config = self.folder / "broker.yaml"
        config.write_text(
            f"""
issuer: {url}
trust_domain: example.com
listen: {{ public: "127.0.0.1:{port}", admin: "127.0.0.1:{admin}", admin_socket: {self.folder}/admin.sock, socket: {self.folder}/attest.sock }}
store: {{ sqlite: {store}, sealing_key: "${{file:{self.folder}/sealing-key}}" }}
trust_providers: [{{ name: local, unix: {{}}, workload: '"local/uid/" + string(attested.uid)' }}]
clients: [{{ client_id: {CLIENT}, jwks_file: {self.folder}/client-jwks.json }}]
subject_issuers: [{{ name: idp, issuer: "https://idp.example", keys: {{ jwks_file: {self.folder}/idp-jwks.json }}, audiences: ["https://app.example"] }}]
resources:
  - {{ name: orders, audience: "https://orders.internal", scopes: [orders:read], default_scopes: [orders:read], binding: bearer_allowed }}
policies: {self.folder}/policies
limits: {{ requests_per_second: 1000000, burst: 1000000, concurrent_requests: 1024 }}
"""
        )
        binary = str(pathlib.Path(self.options.binaries) / "symbolon-broker")
        process = start([binary, "serve", "--config", str(config)], 1, self.folder / "broker.log")
        ready = f"http://127.0.0.1:{admin}/readyz"
        wait_until("the broker", process, 30, lambda: urllib.request.urlopen(ready, timeout=5).read())
        return Server("Symbolon", process, process.pid, port, "/oauth2/token", url)

    def keycloak(self) -> Server:
        """Keycloak in production mode with standard token exchange for one client."""
        port, password = free_port(), secrets.token_urlsafe(16)
        url = f"http://127.0.0.1:{port}"
        command = [str(pathlib.Path(self.options.keycloak) / "bin/kc.sh"), "start", "--optimized", "--cache=local"]
        command += ["--http-enabled=true", "--http-host=127.0.0.1", f"--http-port={port}", f"--hostname={url}"]
        environment = {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": password, "JAVA_OPTS_KC_HEAP": "-Xms512m -Xmx1g"}
        process = start(["env", *(f"{name}={value}" for name, value in environment.items()), *command], 1, self.folder / "keycloak.log")
        try:
            form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": password}
            tokens = f"{url}/realms/master/protocol/openid-connect/token"
            admin = wait_until("Keycloak", process, 240, lambda: post(tokens, form))
            post(f"{url}/admin/realms", document=self.realm(), bearer=admin["access_token"])
            issuer = f"{url}/realms/bench"
            path = "/realms/bench/protocol/openid-connect/token"
            form = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "app"}
            subject = post(url + path, form)["access_token"]
        except BaseException:
            end(process)
            raise
        # The script stays as the parent of the server.
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return Server("Keycloak", process, int(children[0]), port, path, issuer, subject)

    def realm(self) -> dict:
        """A realm that does no more than it is asked for: few claims, no roles, no session."""
        common = {"standardFlowEnabled": False, "serviceAccountsEnabled": True, "fullScopeAllowed": False, "defaultClientScopes": ["basic"]}
        audience = {"included.client.audience": CLIENT, "access.token.claim": "true"}
        mapper = {"name": "for the requester", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper", "config": audience}
        requester = {
            "clientAuthenticatorType": "client-jwt",
            "attributes": {
                "standard.token.exchange.enabled": "true",
                "use.jwks.string": "true",
                "jwks.string": (self.folder / "client-jwks.json").read_text(),
                "token.endpoint.auth.signing.alg": "ES256",
                "token.endpoint.auth.signing.max.exp": "600",
            },
        }
        return {
            "realm": "bench",
            "enabled": True,
            "defaultSignatureAlgorithm": "ES256",
            "accessTokenLifespan": 3600,
            "clients": [
                {"clientId": "app", "secret": "app", "protocolMappers": [mapper], **common},
                {"clientId": CLIENT, **requester, **common},
            ],
        }

    def load(self, server: Server, seconds: int) -> tuple[int, str]:
        """Runs wrk with forms that nobody sent before; returns the number of answers and the 99th percentile."""
        count = MOST_A_SECOND[server.name] * seconds
        more = [server.subject] if server.subject else []
        name = f"{server.name}-{server.sent}"
        self.generate("forms", name, str(count), server.audience, *more)
        server.sent += count
        forms, script = self.folder / f"{name}.txt", pathlib.Path(__file__).with_name("exchange.lua")
        command = ["taskset", "-c", "0", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "20s", "-s", str(script)]
        command += [f"http://127.0.0.1:{server.port}", "--", str(forms), server.path]
        self.check(server, forms)
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        forms.unlink()
        if bad := re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: .*", output):
            sys.exit(f"{server.name}: the run is void: {bad[0]}\n{output}")
        requests = int(re.search(r"(\d+) requests in", output)[1])
        return requests, percentile(output, 99)

    def check(self, server: Server, forms: pathlib.Path) -> None:
        """Looks at one answer: a token of the server, for the subject, by the client."""
        with forms.open("rb") as lines:
            lines.seek(-8192, os.SEEK_END)
            form = dict(urllib.parse.parse_qsl(lines.read().splitlines()[-1].decode()))
        answer = post(f"http://127.0.0.1:{server.port}{server.path}", form)
        before, after = claims(form["subject_token"]), claims(answer["access_token"])
        client = after.get("azp") or after["client_id"].rpartition("/")[2]
        assert after["iss"] == server.audience and after["sub"].endswith(before["sub"]) and client == CLIENT, after

    def measure(self, server: Server) -> None:
        """One round of one server."""
        before = cpu_seconds(server.pid)
        clock = time.monotonic()
        requests, p99 = self.load(server, self.options.seconds)
        used, wall = cpu_seconds(server.pid) - before, time.monotonic() - clock
        row = {"cpu_us": used / requests * 1e6, "rate": requests / self.options.seconds, "p99": p99, "rss_kib": resident_kib(server.pid)}
        server.rows.append(row)
        print(f"{server.name:10} {row['cpu_us']:8.1f} µs  {row['rate']:7.0f}/s  p99 {p99}  ({requests} in {wall:.1f} s)", file=sys.stderr)

    def all(self) -> dict:
        """Starts both, warms both, measures in turn."""
        servers = []
        try:
            for begin in (self.symbolon, *([self.keycloak] if self.options.keycloak else [])):
                servers.append(begin())
                servers[-1].idle_kib = resident_kib(servers[-1].pid)
            for server in servers:
                warm = self.options.warm if server.subject else 5
                requests, _ = self.load(server, warm)
                print(f"{server.name:10} warmed by {requests} exchanges in {warm} s", file=sys.stderr)
            for number in range(self.options.rounds):
                for server in servers if number % 2 == 0 else reversed(servers):
                    self.measure(server)
            return {server.name: server for server in servers}
        finally:
            for server in servers:
                end(server.process)


def claims(token: str) -> dict:
    """What a JWT says."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def markdown(servers: dict[str, Server], floor: float) -> str:
    """The table for people."""
    rows = ["| server | CPU µs an exchange (median) | min–max | exchanges a second | p99 | memory idle → loaded, MiB |", "|---|---|---|---|---|---|"]
    for name, server in servers.items():
        cpu, rates = ([row[key] for row in server.rows] for key in ("cpu_us", "rate"))
        p99 = sorted((row["p99"] for row in server.rows), key=milliseconds)[len(server.rows) // 2]
        loaded = statistics.median(row["rss_kib"] for row in server.rows) / 1024
        rows.append(
            f"| {name} | {statistics.median(cpu):.0f} | {min(cpu):.0f}–{max(cpu):.0f} | {statistics.median(rates):.0f} | {p99} "
            f"| {server.idle_kib / 1024:.0f} → {loaded:.0f} |"
        )
    rows.append(f"| two ES256 verifications and one signature alone | {floor:.0f} | | | | |")
    medians = [statistics.median(row["cpu_us"] for row in server.rows) for server in servers.values()]
    if len(medians) == 2:
        rows += ["", f"Keycloak's CPU time is {medians[1] / medians[0]:.1f} times ours."]
    return "\n".join(rows)


def milliseconds(text: str) -> float:
    """A duration as wrk prints it."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def main() -> None:
    """Reads the arguments, runs, prints JSON and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", required=True)
    parser.add_argument("--keycloak", help="its folder; without it only our broker is measured")
    parser.add_argument("--store", help="a folder on a real disk, if the temporary one is in memory")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--warm", type=int, default=60)
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="symbolon-exchange-") as folder:
        run = Run(options, pathlib.Path(folder))
        floor = run.floor()
        servers = run.all()
    table = markdown(servers, floor)
    machine = {"kernel": platform.release(), "cores": os.cpu_count(), "load": os.getloadavg()}
    print(json.dumps({"machine": machine, "floor_us": floor, "results": {name: server.rows for name, server in servers.items()}}, indent=1))
    print(table)
    if options.markdown:
        options.markdown.write_text(table + "\n")


if __name__ == "__main__":
    main()
