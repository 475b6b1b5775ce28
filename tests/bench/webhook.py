"""Latency and memory of our admission webhook for a typical pod, beside nginx, which answers the same bytes without reading the question.

HTTPS, 16 connections that stay open, AdmissionReview v1 of a Deployment's pod (two containers, probes, volumes; it gets a sidecar). Load
generator on the first core, server under test on the second. Rounds are interleaved. Any answer but 2xx voids the run, and one answer is read.
With 16 connections that ask as fast as they are answered, latency is that of a server which has no time left; with one, that of one at rest.

usage: webhook.py --binaries DIR [--rounds 5] [--seconds 5] [--markdown FILE]
"""

import argparse
import base64
import json
import os
import pathlib
import platform
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import urllib.request

from exchange import milliseconds, wait_until
from run import CONNECTIONS, cpu_seconds, free_port, percentile, resident_kib, start, stop


def container(name: str, port: int) -> dict:
    """A container as charts write them."""
    probe = {"httpGet": {"path": "/healthz", "port": port, "scheme": "HTTP"}, "periodSeconds": 10, "timeoutSeconds": 1}
    return {
        "name": name,
        "image": f"registry.example.com/shop/{name}@sha256:{'a' * 64}",
        "args": ["--listen", f":{port}"],
        "ports": [{"containerPort": port, "protocol": "TCP"}],
        "env": [{"name": f"SETTING_{number}", "value": f"value-{number}"} for number in range(12)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "livenessProbe": probe,
        "readinessProbe": probe,
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "kube-api-access", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}},
    }


def review() -> dict:
    """What the API server asks about such a pod."""
    uid = "6f3c1f0e-9a2b-4c7d-8e55-0a1b2c3d4e5f"
    labels = {"app": "web", "pod-template-hash": "7c9d8f6b5", "symbolon.dev/inject": "true"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "web-7c9d8f6b5-", "labels": labels, "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7c9d8f6b5", "uid": uid}]},
        "spec": {
            "serviceAccountName": "web",
            "containers": [container("web", 8080), container("metrics", 9090)],
            "volumes": [{"name": "data", "emptyDir": {}}, {"name": "kube-api-access", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
        },
    }
    resource = {"group": "", "version": "v1", "resource": "pods"}
    request = {"uid": uid, "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": resource, "requestKind": {"group": "", "version": "v1", "kind": "Pod"}}
    request |= {"requestResource": resource, "namespace": "shop", "operation": "CREATE", "object": pod, "oldObject": None, "dryRun": False}
    request["userInfo"] = {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": ["system:serviceaccounts"]}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


class Run:
    """One run: the certificate, both servers' commands, and the rows."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self.options, self.folder, self.port, self.rows = options, folder, free_port(), {}
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
        command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {folder}/tls.key -out {folder}/tls.crt"
        subprocess.run(command.split(), check=True, capture_output=True)
        (folder / "review.json").write_text(json.dumps(review()))

    def injector(self) -> list[str]:
        """Our webhook with two upstreams."""
        config = self.folder / "injector.yaml"
        upstream = "{{ port: {}, target: https://{}.example.com, resource: https://{}.internal }}"
        config.write_text(
            f"""
sidecar: {{ image: "registry.example.com/symbolon-sidecar@sha256:{"b" * 64}", native: always }}
broker: {{ url: https://broker.example.com }}
upstreams: {{ orders: {upstream.format(8711, "orders", "orders")}, payments: {upstream.format(8712, "payments", "payments")} }}
default_upstreams: [orders, payments]
webhook:
  listen: "127.0.0.1:{self.port}"
  admin: "127.0.0.1:{free_port()}"
  tls: {{ mode: files, files: {{ certificate: {self.folder}/tls.crt, key: {self.folder}/tls.key }} }}
log: {{ level: warn }}
"""
        )
        return [str(pathlib.Path(self.options.binaries) / "symbolon-injector"), "webhook", "--config", str(config)]

    def nginx(self, answer: bytes) -> list[str]:
        """TLS and HTTP alone: an answer of the same bytes, the question read into a buffer and dropped."""
        # A folder of its own: started by root, it gives it to somebody else.
        own = self.folder / "nginx"
        own.mkdir(exist_ok=True)
        (own / "pods").write_bytes(answer)
        temporary = " ".join(f"{kind}_temp_path {own};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = own / "nginx.conf"
        config.write_text(
            f"""
worker_processes 1; daemon off; master_process off; pid {own}/nginx.pid; error_log {own}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; {temporary}
  server {{
    listen 127.0.0.1:{self.port} ssl; ssl_certificate {self.folder}/tls.crt; ssl_certificate_key {self.folder}/tls.key;
    root {own}; default_type application/json; error_page 405 =200 /pods; open_file_cache max=8;
  }}
}}
"""
        )
        return ["nginx", "-p", str(own), "-c", str(config)]

    def ask(self) -> bytes:
        """One question."""
        url, body = f"https://127.0.0.1:{self.port}/pods", (self.folder / "review.json").read_bytes()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        trusted = ssl.create_default_context(cafile=str(self.folder / "tls.crt"))
        with urllib.request.urlopen(request, timeout=5, context=trusted) as answer:
            return answer.read()

    def load(self, connections: int, seconds: int) -> tuple[int, str, str]:
        """Runs wrk; returns the number of answers, the median and the 99th percentile."""
        script = pathlib.Path(__file__).with_name("post.lua")
        command = ["taskset", "-c", "0", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
        command += [f"https://127.0.0.1:{self.port}/pods", "--", str(self.folder / "review.json")]
        output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
        if bad := re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: .*", output):
            sys.exit(f"the run is void: {bad[0]}\n{output}")
        median, p99 = (percentile(output, percent) for percent in (50, 99))
        return int(re.search(r"(\d+) requests in", output)[1]), median, p99

    def measure(self, name: str, command: list[str], check) -> bytes:
        """One round of one server."""
        process = start(command, 1, self.folder / "servers.log")
        try:
            answer = wait_until(name, process, 10, self.ask)
            check(answer)
            idle = resident_kib(process.pid)
            self.load(CONNECTIONS, 1)
            before = cpu_seconds(process.pid)
            requests, median, p99 = self.load(CONNECTIONS, self.options.seconds)
            used = cpu_seconds(process.pid) - before
            _, rest_median, rest_p99 = self.load(1, self.options.seconds)
            row = {"cpu_us": used / requests * 1e6, "rate": requests / self.options.seconds, "p50": median, "p99": p99}
            row |= {"rest_p50": rest_median, "rest_p99": rest_p99, "idle_kib": idle, "rss_kib": resident_kib(process.pid)}
            self.rows.setdefault(name, []).append(row)
            print(f"{name:10} {row['cpu_us']:6.1f} µs  {row['rate']:6.0f}/s  p50 {median}  p99 {p99}", file=sys.stderr)
            return answer
        finally:
            stop(process)

    def all(self) -> None:
        """Interleaved rounds."""
        answer = b""
        for _ in range(self.options.rounds):
            answer = self.measure("Symbolon", self.injector(), injected)
            self.measure("nginx", self.nginx(answer), lambda said, expected=answer: same(said, expected))
        self.sizes = (self.folder / "review.json").stat().st_size, len(answer)

    def markdown(self) -> str:
        """The table for people."""
        rows = [
            "| server | CPU µs an admission (median) | min–max | admissions a second | p50, p99 with 16 connections | p50, p99 with one | memory idle → loaded, MiB |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, figures in self.rows.items():
            cpu, rates, idle, loaded = ([row[key] for row in figures] for key in ("cpu_us", "rate", "idle_kib", "rss_kib"))
            middle = {key: sorted((row[key] for row in figures), key=milliseconds)[len(figures) // 2] for key in ("p50", "p99", "rest_p50", "rest_p99")}
            rows.append(
                f"| {name} | {statistics.median(cpu):.0f} | {min(cpu):.0f}–{max(cpu):.0f} | {statistics.median(rates):.0f} "
                f"| {middle['p50']}, {middle['p99']} | {middle['rest_p50']}, {middle['rest_p99']} "
                f"| {statistics.median(idle) / 1024:.1f} → {statistics.median(loaded) / 1024:.1f} |"
            )
        rows += ["", f"The question has {self.sizes[0]} bytes, the answer {self.sizes[1]}."]
        return "\n".join(rows)


def injected(answer: bytes) -> None:
    """The pod gets its sidecar."""
    response = json.loads(answer)["response"]
    assert response["allowed"] and b"symbolon-sidecar" in base64.b64decode(response["patch"]), response


def same(answer: bytes, expected: bytes) -> None:
    """The peer answers the same bytes."""
    assert answer == expected, answer


def main() -> None:
    """Reads the arguments, runs, prints JSON and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="symbolon-webhook-") as folder:
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
