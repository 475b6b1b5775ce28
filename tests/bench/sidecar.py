"""What our sidecar adds to a request, beside Envoy's `credential_injector`, in one run on one machine.

The app's plain request gets a credential and goes on to one backend. Envoy adds the same `Authorization: Bearer` from a file to each request. Ours does
the same work with a token of a stand-in for a token service that binds nothing, and more with one of our broker: a bound token with a fresh
proof, which is a signature, for each request. Load generator and backend run on the
first core, the server under test on the second. CPU is taken with 16 connections, latency with one, and what is added is the difference to the
backend without anything between, in the same round. Rounds are interleaved. Any answer but 2xx voids the run, and what arrives is looked at.

usage: sidecar.py --binaries DIR --envoy PATH [--rounds 5] [--seconds 5] [--markdown FILE]
"""

import argparse
import contextlib
import http.server
import json
import os
import pathlib
import platform
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass

import peers
from exchange import milliseconds, wait_until
from run import CONNECTIONS, cpu_seconds, free_port, percentile, resident_kib, start, stop, wait_for_port

# Idle is what is left after everything that a start does once.
SETTLE = 10


@dataclass(frozen=True)
class Case:
    """A server, its command, the port of the app's requests, and what has to arrive."""

    name: str
    command: list[str]
    port: int
    arrives: str


def envoy(binary: str, folder: pathlib.Path, port: int, backend: int) -> list[str]:
    """Envoy with one worker, which adds a credential from a file."""
    kind = "type.googleapis.com/envoy.extensions"
    token = {"@type": f"{kind}.transport_sockets.tls.v3.Secret", "name": "token", "generic_secret": {"secret": {"inline_string": "Bearer " + "x" * 700}}}
    (folder / "token.json").write_text(json.dumps({"resources": [token]}))
    source = {"name": "token", "sds_config": {"path_config_source": {"path": str(folder / "token.json")}}}
    credential = {"@type": f"{kind}.http.injected_credentials.generic.v3.Generic", "credential": source}
    injector = {"@type": f"{kind}.filters.http.credential_injector.v3.CredentialInjector", "overwrite": True}
    injector["credential"] = {"name": "envoy.http.injected_credentials.generic", "typed_config": credential}
    manager = {
        "@type": f"{kind}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "codec_type": "HTTP1",
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": "api", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "api"}}]}]},
        "http_filters": [
            {"name": "envoy.filters.http.credential_injector", "typed_config": injector},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{kind}.filters.http.router.v3.Router"}},
        ],
    }
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": peers.address(backend)}}]}]
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    config = {
        "node": {"id": "bench", "cluster": "bench"},
        "static_resources": {
            "listeners": [{"address": peers.address(port), "filter_chains": [{"filters": filters}]}],
            "clusters": [{"name": "api", "type": "STATIC", "load_assignment": {"cluster_name": "api", "endpoints": endpoints}}],
        },
    }
    (folder / "envoy.json").write_text(json.dumps(config))
    return [binary, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c", str(folder / "envoy.json")]


class Unbinding(http.server.BaseHTTPRequestHandler):
    """Answers each question with a token that is bound to nothing."""

    def do_POST(self) -> None:  # noqa: N802, the name is the server's
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"access_token": "x" * 700, "token_type": "Bearer", "expires_in": 3600, "scope": "read"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Run:
    """One run: broker, backend, cases and rows."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self.options, self.folder, self.rows = options, folder, {}
        self.backend = free_port()

    @contextlib.contextmanager
    def broker(self):
        """Our broker, which knows this user's processes."""
        port, admin = free_port(), free_port()
        (self.folder / "sealing-key").write_text(secrets.token_urlsafe(32))
        (self.folder / "policies").mkdir()
        (self.folder / "policies/bench.cedar").write_text('@id("all") permit (principal, action == Symbolon::Action::"issue", resource);\n')
        config = self.folder / "broker.yaml"
        config.write_text(
            f"""
issuer: http://127.0.0.1:{port}
trust_domain: example.com
listen: {{ public: "127.0.0.1:{port}", admin: "127.0.0.1:{admin}", socket: {self.folder}/attest.sock }}
store: {{ sqlite: {self.folder}/broker.db, sealing_key: "${{file:{self.folder}/sealing-key}}" }}
trust_providers: [{{ name: local, unix: {{}}, workload: '"local/uid/" + string(attested.uid)' }}]
resources: [{{ name: orders, audience: "https://orders.internal", scopes: [read], default_scopes: [read], binding: dpop }}]
policies: {self.folder}/policies
"""
        )
        binary = str(pathlib.Path(self.options.binaries) / "symbolon-broker")
        process = start([binary, "serve", "--config", str(config)], 0, self.folder / "broker.log")
        try:
            ready = f"http://127.0.0.1:{admin}/readyz"
            wait_until("the broker", process, 30, lambda: urllib.request.urlopen(ready, timeout=5).read())
            yield f"http://127.0.0.1:{port}"
        finally:
            stop(process)

    @contextlib.contextmanager
    def unbinding(self):
        """A token service that gives everybody the same bearer token, in this process and so on the first core."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Unbinding)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()

    def sidecar(self, name: str, broker: str, evidence: str) -> tuple[list[str], int]:
        """Our sidecar with one upstream."""
        port, config = free_port(), self.folder / f"sidecar-{name}.yaml"
        config.write_text(
            f"""
broker: {broker}
evidence: {evidence}
listen: {{ health: "127.0.0.1:{free_port()}" }}
upstreams:
  - name: {name}
    listen: {{ tcp: "127.0.0.1:{port}", allow_any_local_process: true }}
    target: http://127.0.0.1:{self.backend}
    resource: https://orders.internal
    allow_bearer: true
"""
        )
        return [str(pathlib.Path(self.options.binaries) / "symbolon-sidecar"), "run", "--config", str(config)], port

    def load(self, port: int, connections: int, seconds: int) -> tuple[int, float, float]:
        """Runs wrk; returns the number of answers, the median and the 99th percentile in milliseconds."""
        command = ["taskset", "-c", "0", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}/orders/1"]
        output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
        if bad := re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: .*", output):
            sys.exit(f"the run is void: {bad[0]}\n{output}")
        median, p99 = (milliseconds(percentile(output, percent)) for percent in (50, 99))
        return int(re.search(r"(\d+) requests in", output)[1]), median, p99

    def measure(self, case: Case) -> None:
        """One round of one server."""
        process = start(case.command, 1, self.folder / "servers.log")
        try:
            wait_for_port(case.port, process)
            url = f"http://127.0.0.1:{case.port}/seen"
            seen = wait_until(case.name, process, 20, lambda: urllib.request.urlopen(url, timeout=5).read().decode())
            assert re.match(case.arrives, seen), f"{case.name}: {seen.split()[0] if seen else 'nothing'} arrived"
            time.sleep(SETTLE)
            idle = resident_kib(process.pid)
            self.load(case.port, CONNECTIONS, 1)
            before = cpu_seconds(process.pid)
            requests, *_ = self.load(case.port, CONNECTIONS, self.options.seconds)
            used = cpu_seconds(process.pid) - before
            _, median, p99 = self.load(case.port, 1, self.options.seconds)
            _, without, without_p99 = self.load(self.backend, 1, self.options.seconds)
            row = {"cpu_us": used / requests * 1e6, "rate": requests / self.options.seconds, "idle_kib": idle, "rss_kib": resident_kib(process.pid)}
            row |= {"p50_us": (median - without) * 1000, "p99_us": (p99 - without_p99) * 1000}
            self.rows.setdefault(case.name, []).append(row)
            print(f"{case.name:34} {row['cpu_us']:6.1f} µs  +{row['p50_us']:.0f}/{row['p99_us']:.0f} µs  {idle / 1024:.1f} MiB", file=sys.stderr)
        finally:
            stop(process)

    def all(self) -> None:
        """Interleaved rounds; the direction turns every round."""
        # A folder of its own: started by root, it gives it to somebody else.
        (self.folder / "nginx").mkdir()
        backend = start(peers.nginx_backend(self.folder / "nginx", self.backend, "location = /seen { return 200 '$http_authorization'; }"), 0, self.folder / "servers.log")
        try:
            wait_for_port(self.backend, backend)
            token = self.folder / "evidence"
            token.write_text("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2JlbmNoLmV4YW1wbGUifQ.AAAA")
            with self.broker() as broker, self.unbinding() as unbinding:
                bearer = self.sidecar("open", f"{{ url: {unbinding} }}", f"{{ token_file: {{ path: {token} }} }}")
                bound = self.sidecar("bound", f"{{ url: {broker}, socket: {self.folder}/attest.sock }}", "{ unix: {} }")
                port = free_port()
                cases = [
                    Case("Symbolon, bearer token", *bearer, "Bearer x"),
                    Case("Symbolon, bound token and proof", *bound, "DPoP e"),
                    Case("Envoy, credential_injector", envoy(self.options.envoy, self.folder, port, self.backend), port, "Bearer x"),
                ]
                for number in range(self.options.rounds):
                    for case in cases if number % 2 == 0 else reversed(cases):
                        self.measure(case)
                self.order = [case.name for case in cases]
        finally:
            stop(backend)

    def markdown(self) -> str:
        """The table for people."""
        rows = ["| sidecar | CPU µs a request (median) | min–max | requests a second | added p50, µs | added p99, µs | memory idle → loaded, MiB |", "|---|---|---|---|---|---|---|"]
        for name in self.order:
            column = {key: [row[key] for row in self.rows[name]] for key in self.rows[name][0]}
            middle = {key: statistics.median(values) for key, values in column.items()}
            rows.append(
                f"| {name} | {middle['cpu_us']:.1f} | {min(column['cpu_us']):.1f}–{max(column['cpu_us']):.1f} | {middle['rate']:.0f} "
                f"| {middle['p50_us']:.0f} | {middle['p99_us']:.0f} | {middle['idle_kib'] / 1024:.1f} → {middle['rss_kib'] / 1024:.1f} |"
            )
        first, *_, last = (statistics.median(row["cpu_us"] for row in self.rows[name]) for name in self.order)
        return "\n".join([*rows, "", f"Envoy's CPU time is {last / first:.1f} times ours for the same work."])


def main() -> None:
    """Reads the arguments, runs, prints JSON and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", required=True)
    parser.add_argument("--envoy", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="symbolon-sidecar-") as folder:
        run = Run(options, pathlib.Path(folder))
        run.all()
    table = run.markdown()
    machine = {"kernel": platform.release(), "cores": os.cpu_count(), "load": os.getloadavg()}
    print(json.dumps({"machine": machine, "results": run.rows}, indent=1))
    print(table)
    if options.markdown:
        options.markdown.write_text(table + "\n")


if __name__ == "__main__":
    main()
