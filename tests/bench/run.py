"""CPU per request of our gateway beside HAProxy and Envoy, in one run on one machine.

Load generator and backend are pinned to the first core, the server under test to the second with one worker. Reported is the CPU time of the
server process and its children divided by the requests it answered, the median of the rounds, with the smallest and the largest.
The rounds are interleaved, so that a slow minute of the machine does not hit one server alone. Any answer but 2xx fails the run.

usage: run.py --binaries DIR --envoy PATH [--rounds 5] [--seconds 5] [--markdown FILE]
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import peers

CONNECTIONS = 16


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, process: subprocess.Popen) -> None:
    """Waits until something listens, at most ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"{process.args[0]} does not listen on {port}")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and the children it has waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[index]) for index in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid: int) -> int:
    """Resident memory."""
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def start(command: list[str], core: int, log: pathlib.Path) -> subprocess.Popen:
    """Starts a process pinned to one core."""
    with log.open("ab") as sink:
        return subprocess.Popen(["taskset", "-c", str(core), *command], stdout=sink, stderr=sink)


def stop(process: subprocess.Popen) -> None:
    """Ends a process that this run started."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def load(port: int, seconds: float, credentials: pathlib.Path | None) -> tuple[int, str]:
    """Runs wrk; returns the number of answers and the 99th percentile."""
    script = pathlib.Path(__file__).with_name("load.lua")
    command = ["taskset", "-c", "0", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script)]
    command += [f"http://127.0.0.1:{port}{peers.PATH}"] + (["--", str(credentials)] if credentials else [])
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if bad := re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: .*", output):
        sys.exit(f"the run is void: {bad[0]}\n{output}")
    return int(re.search(r"(\d+) requests in", output)[1]), percentile(output, 99)


def percentile(output: str, percent: int) -> str:
    """A line of wrk's latency distribution; other lines have percentages too."""
    return re.search(rf"^\s+{percent}%\s+(\S+)", output, re.MULTILINE)[1]


class Run:
    """One run: the backend, the material and the results."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self.options, self.folder = options, folder
        self.ports = peers.Ports(free_port(), free_port(), free_port())
        self.results: dict[str, list[dict]] = {}
        self.programs: dict[str, float] = {}

    def material(self, *arguments: str) -> None:
        """Asks our generator for keys, tokens or fresh proofs."""
        generator = pathlib.Path(self.options.binaries) / "examples" / "bench-tokens"
        subprocess.run([str(generator), str(self.folder), *arguments], check=True)

    def cases(self) -> list[peers.Peer]:
        """All cases, in the order of one round."""
        gateway, envoy = str(pathlib.Path(self.options.binaries) / "symbolon-gateway"), self.options.envoy
        folder, ports, verify = self.folder, self.ports, [peers.VERIFY]
        authorize = [*verify, f"authorize: {{ policies: {peers.policies(folder, 1_000)} }}"]
        return [
            peers.Peer("Symbolon, plain", peers.symbolon(gateway, folder, ports, [])),
            peers.Peer("HAProxy, plain", peers.haproxy(folder, ports, False)),
            peers.Peer("Envoy, plain", peers.envoy(envoy, folder, ports, False)),
            peers.Peer("Symbolon, verify, cached", peers.symbolon(gateway, folder, ports, verify), "one"),
            peers.Peer("Symbolon, cached and 1 000 policies", peers.symbolon(gateway, folder, ports, authorize), "one"),
            peers.Peer("Envoy, jwt_authn with cache", peers.envoy(envoy, folder, ports, True, True), "one"),
            peers.Peer("Symbolon, verify, uncached", peers.symbolon(gateway, folder, ports, verify, 64), "many"),
            peers.Peer("HAProxy, jwt_verify", peers.haproxy(folder, ports, True), "many"),
            peers.Peer("Envoy, jwt_authn", peers.envoy(envoy, folder, ports, True), "many"),
            peers.Peer("Symbolon, verify, DPoP", peers.symbolon(gateway, folder, ports, verify), "proofs"),
        ]

    def measure(self, case: peers.Peer) -> dict:
        """One case of one round: start, warm up, load, read the clock."""
        credentials = self.folder / f"{case.credentials}.txt" if case.credentials else None
        warm = self.folder / "one.txt" if case.credentials else None
        process = start(case.command, 1, self.folder / "servers.log")
        try:
            wait_for_port(self.ports.server, process)
            idle = resident_kib(process.pid)
            if case.credentials == "proofs":
                self.material("proofs", f"http://127.0.0.1:{self.ports.server}{peers.PATH}")
            load(self.ports.server, 1, warm)
            before, clock = cpu_seconds(process.pid), time.monotonic()
            requests, p99 = load(self.ports.server, self.options.seconds, credentials)
            used, wall = cpu_seconds(process.pid) - before, time.monotonic() - clock
            return {
                "cpu_us": used / requests * 1e6,
                "rate": requests / wall,
                "p99": p99,
                "idle_kib": idle,
                "loaded_kib": resident_kib(process.pid),
            }
        finally:
            stop(process)

    def all(self) -> None:
        """Interleaved rounds; the direction turns every round."""
        backend = start(peers.nginx_backend(self.folder, self.ports.backend), 0, self.folder / "servers.log")
        try:
            wait_for_port(self.ports.backend, backend)
            self.material("keys")
            cases = self.cases()
            for number in range(self.options.rounds):
                for case in cases if number % 2 == 0 else reversed(cases):
                    figures = self.measure(case)
                    self.results.setdefault(case.name, []).append(figures)
                    print(f"round {number + 1}  {case.name:35} {figures['cpu_us']:7.1f} µs", file=sys.stderr)
            self.order = [case.name for case in cases]
        finally:
            stop(backend)

    def idle(self) -> None:
        """Resident memory of the three programs of the development set-up, ten seconds after they are ready."""
        command = [str(pathlib.Path(self.options.binaries) / "symbolon"), "dev", "--json"]
        command += ["--state-dir", str(self.folder / "dev")]
        dev = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            dev.stdout.readline()
            time.sleep(10)
            children = pathlib.Path(f"/proc/{dev.pid}/task/{dev.pid}/children").read_text().split()
            for task in pathlib.Path(f"/proc/{dev.pid}/task").iterdir():
                children += (task / "children").read_text().split()
            for child in sorted(set(children), key=int):
                name = pathlib.Path(f"/proc/{child}/exe").resolve().name
                self.programs[name] = resident_kib(int(child)) / 1024
        finally:
            stop(dev)

    def markdown(self) -> str:
        """The table for people."""
        rows = ["| case | CPU µs a request (median) | min–max | p99 | memory idle → loaded, MiB |", "|---|---|---|---|---|"]
        for name in self.order:
            figures = self.results[name]
            cpu = [row["cpu_us"] for row in figures]
            idle, loaded = (statistics.median(row[key] for row in figures) / 1024 for key in ("idle_kib", "loaded_kib"))
            p99 = sorted(row["p99"] for row in figures)[len(figures) // 2]
            rows.append(
                f"| {name} | {statistics.median(cpu):.1f} | {min(cpu):.1f}–{max(cpu):.1f} | {p99} | {idle:.1f} → {loaded:.1f} |"
            )
        rows += ["", "| program, idle | memory, MiB |", "|---|---|"]
        rows += [f"| `{name}` | {memory:.1f} |" for name, memory in self.programs.items()]
        return "\n".join(rows)


def main() -> None:
    """Reads the arguments, runs, prints JSON and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", required=True)
    parser.add_argument("--envoy", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: run scripts/setup bench")
    with tempfile.TemporaryDirectory(prefix="symbolon-bench-") as folder:
        run = Run(options, pathlib.Path(folder))
        run.idle()
        run.all()
    table = run.markdown()
    machine = {"kernel": platform.release(), "cores": os.cpu_count(), "load": os.getloadavg()}
    print(json.dumps({"machine": machine, "programs": run.programs, "results": run.results}, indent=1))
    print(table)
    if options.markdown:
        options.markdown.write_text(table + "\n")


if __name__ == "__main__":
    main()
