"""CPU per grant of our broker with evidence `kubernetes` of a real kube-apiserver, with warm caches.

One pod with its pinned key asks again and again for the same resource: its token is verified each time, its TokenReview is at most a
minute old, its pod is known from the watch. Each request has a fresh proof, each answer is on record before it is given. Load generator and API
server run on the first core, the broker on the second; 64 connections that stay open, as for exchanges. Any answer but 2xx voids the run.

usage: grant.py --binaries DIR [--rounds 5] [--seconds 10] [--markdown FILE]
"""

import argparse
import contextlib
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
import time
import urllib.error
import urllib.parse
import urllib.request

from exchange import CONNECTIONS, claims, milliseconds, wait_until
from run import cpu_seconds, free_port, percentile, resident_kib, start, stop

# More than the broker answers in a second of this load on one core.
MOST_A_SECOND = 4_000
# Seconds after which a run that hangs is given up.
PATIENCE = 300
ORDERS = "https://orders.internal"


class Run:
    """One run: the cluster, the broker and the rows."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self.options, self.folder, self.rows, self.sent = options, folder, [], 0
        self.port, self.admin = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.generator = str(pathlib.Path(options.binaries) / "examples" / "bench-grant")

    @contextlib.contextmanager
    def cluster(self):
        """A real API server with one running pod, for as long as this is open."""
        command = ["taskset", "-c", "0", self.generator, str(self.folder), "cluster", self.url]
        with (self.folder / "cluster.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            file, deadline = self.folder / "cluster.json", time.monotonic() + PATIENCE
            while not file.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("the cluster did not start:\n" + (self.folder / "cluster.log").read_text(errors="replace"))
                time.sleep(0.1)
            yield json.loads(file.read_text())
        finally:
            process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()

    def broker(self, cluster: dict) -> subprocess.Popen:
        """Our broker, which trusts that cluster."""
        (self.folder / "sealing-key").write_text(secrets.token_urlsafe(32))
        (self.folder / "policies").mkdir()
        (self.folder / "policies/bench.cedar").write_text(
            '@id("pods") permit (principal, action == Symbolon::Action::"issue", resource == Symbolon::Resource::"orders")\n'
            'when { context.key_bound && principal has kubernetes && principal.assurance == "live" && context.scope == "orders:read" };\n'
        )
        api = f'{{ server: "{cluster["server"]}", ca_file: {cluster["ca_file"]}, token_file: {cluster["token_file"]} }}'
        config = self.folder / "broker.yaml"
        config.write_text(
            f"""
issuer: {self.url}
trust_domain: example.com
listen: {{ public: "127.0.0.1:{self.port}", admin: "127.0.0.1:{self.admin}" }}
store: {{ sqlite: {self.options.store or self.folder}/grant-bench.db, sealing_key: "${{file:{self.folder}/sealing-key}}" }}
trust_providers:
  - {{ name: prod, kubernetes: {{ issuer: "{cluster["issuer"]}", api: {api} }}, workload: '"ns/" + attested.namespace + "/sa/" + attested.service_account' }}
resources:
  - {{ name: orders, audience: "{ORDERS}", scopes: [orders:read], default_scopes: [orders:read], binding: dpop }}
policies: {self.folder}/policies
limits: {{ requests_per_second: 1000000, burst: 1000000, concurrent_requests: 1024 }}
"""
        )
        binary = str(pathlib.Path(self.options.binaries) / "symbolon-broker")
        process = start([binary, "serve", "--config", str(config)], 1, self.folder / "broker.log")
        ready = f"http://127.0.0.1:{self.admin}/readyz"
        wait_until("the broker", process, 30, lambda: urllib.request.urlopen(ready, timeout=5).read())
        return process

    def proofs(self, count: int) -> pathlib.Path:
        """Fresh proofs, which nobody has sent."""
        self.sent += 1
        name = f"proofs-{self.sent}"
        subprocess.run([self.generator, str(self.folder), "proofs", name, str(count), f"{self.url}/oauth2/token"], check=True)
        return self.folder / f"{name}.txt"

    def grant(self) -> dict:
        """One grant; raises as long as there is none."""
        request = urllib.request.Request(f"{self.url}/oauth2/token", (self.folder / "form.txt").read_bytes())
        request.add_header("DPoP", self.proofs(1).read_text().strip())
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def load(self, seconds: int) -> tuple[int, str, str]:
        """Runs wrk; returns the number of answers, the median and the 99th percentile."""
        proofs, script = self.proofs(MOST_A_SECOND * seconds), pathlib.Path(__file__).with_name("grant.lua")
        command = ["taskset", "-c", "0", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "20s", "-s", str(script)]
        command += [f"{self.url}/oauth2/token", "--", str(self.folder / "form.txt"), str(proofs)]
        output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
        proofs.unlink()
        if bad := re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: .*", output):
            sys.exit(f"the run is void: {bad[0]}\n{output}")
        median, p99 = (percentile(output, percent) for percent in (50, 99))
        return int(re.search(r"(\d+) requests in", output)[1]), median, p99

    def all(self) -> None:
        """Starts everything, warms it, measures."""
        with self.cluster() as cluster:
            form = {"grant_type": "client_credentials", "resource": ORDERS, "client_assertion": cluster["evidence"]}
            form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            (self.folder / "form.txt").write_text(urllib.parse.urlencode(form))
            broker = self.broker(cluster)
            try:
                idle = resident_kib(broker.pid)
                token = claims(wait_until("a grant", broker, 60, self.grant)["access_token"])
                assert token["sub"].startswith("spiffe://example.com/ns/shop-") and token["cnf"]["jkt"], token
                self.load(3)
                for number in range(self.options.rounds):
                    before, asked = cpu_seconds(broker.pid), cpu_seconds(cluster["api_server"])
                    requests, median, p99 = self.load(self.options.seconds)
                    used, asked = cpu_seconds(broker.pid) - before, cpu_seconds(cluster["api_server"]) - asked
                    row = {"cpu_us": used / requests * 1e6, "rate": requests / self.options.seconds, "p50": median, "p99": p99}
                    row |= {"api_server_us": asked / requests * 1e6, "idle_kib": idle, "rss_kib": resident_kib(broker.pid)}
                    self.rows.append(row)
                    print(f"round {number + 1}  {row['cpu_us']:6.1f} µs  {row['rate']:6.0f}/s  p50 {median}  p99 {p99}", file=sys.stderr)
            finally:
                stop(broker)

    def markdown(self) -> str:
        """The table for people."""
        cpu, rate, asked, loaded = ([row[key] for row in self.rows] for key in ("cpu_us", "rate", "api_server_us", "rss_kib"))
        middle = {key: sorted((row[key] for row in self.rows), key=milliseconds)[len(self.rows) // 2] for key in ("p50", "p99")}
        return (
            "| grant with evidence `kubernetes` | CPU µs (median) | min–max | grants a second | p50 | p99 | memory idle → loaded, MiB | CPU µs of the API server |\n"
            "|---|---|---|---|---|---|---|---|\n"
            f"| one pod, warm caches | {statistics.median(cpu):.0f} | {min(cpu):.0f}–{max(cpu):.0f} | {statistics.median(rate):.0f} "
            f"| {middle['p50']} | {middle['p99']} | {self.rows[0]['idle_kib'] / 1024:.1f} → {statistics.median(loaded) / 1024:.1f} "
            f"| {statistics.median(asked):.0f} |"
        )


def main() -> None:
    """Reads the arguments, runs, prints JSON and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", required=True)
    parser.add_argument("--store", help="a folder on a real disk, if the temporary one is in memory")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="symbolon-grant-") as folder:
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
