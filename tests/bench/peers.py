"""The servers under test, each with the configuration that does the same work: proxy to one backend, verify ES256 from a fixed key."""

import json
import pathlib
from dataclasses import dataclass

AUDIENCE = "https://orders.internal"
ISSUER = "https://issuer.example"
PATH = "/orders/1"


@dataclass(frozen=True)
class Ports:
    """Loopback ports of one run."""

    backend: int
    server: int
    admin: int


@dataclass(frozen=True)
class Peer:
    """A server process: its name, its command, and which credentials its cases send."""

    name: str
    command: list[str]
    credentials: str | None = None
    warm: bool = False


def nginx_backend(folder: pathlib.Path, port: int, more: str = "") -> list[str]:
    """A backend that answers twelve bytes, except in locations that say otherwise."""
    config = folder / "nginx.conf"
    config.write_text(
        f"""
worker_processes 1; daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; {more} location / {{ return 200 "hello world\\n"; }} }}
}}
"""
    )
    return ["nginx", "-p", str(folder), "-c", str(config)]


def haproxy(folder: pathlib.Path, ports: Ports, verify: bool) -> list[str]:
    """HAProxy with one thread; it reads a PEM key, not a JWKS."""
    rules = ""
    if verify:
        rules = f"""
  http-request set-var(txn.token) http_auth_bearer
  http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
  http-request deny unless {{ var(txn.alg) -m str ES256 }}
  http-request deny unless {{ var(txn.token),jwt_payload_query('$.iss') -m str {ISSUER} }}
  http-request deny unless {{ var(txn.token),jwt_payload_query('$.aud') -m str {AUDIENCE} }}
  http-request deny unless {{ var(txn.token),jwt_verify(txn.alg,"{folder}/key.pem") -m int 1 }}
  http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
  http-request del-header authorization"""
    config = folder / f"haproxy-{verify}.cfg"
    config.write_text(
        f"""
global
  nbthread 1
  maxconn 1024
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend in
  bind 127.0.0.1:{ports.server}{rules}
  default_backend api
backend api
  http-reuse always
  server api 127.0.0.1:{ports.backend}
"""
    )
    return ["haproxy", "-db", "-f", str(config)]


def envoy(binary: str, folder: pathlib.Path, ports: Ports, verify: bool, cache: bool = False) -> list[str]:
    """Envoy with one worker; `cache` turns on its cache of verified tokens."""
    filters = []
    if verify:
        provider = {
            "issuer": ISSUER,
            "audiences": [AUDIENCE],
            "forward": False,
            "local_jwks": {"inline_string": (folder / "jwks.json").read_text()},
        }
        if cache:
            provider["jwt_cache_config"] = {"jwt_cache_size": 1000}
        filters.append(
            {
                "name": "envoy.filters.http.jwt_authn",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                    "providers": {"issuer": provider},
                    "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
                },
            }
        )
    filters.append(
        {
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        }
    )
    route = {"match": {"prefix": "/"}, "route": {"cluster": "api"}}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "codec_type": "HTTP1",
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": "api", "domains": ["*"], "routes": [route]}]},
        "http_filters": filters,
    }
    config = folder / f"envoy-{verify}-{cache}.json"
    config.write_text(
        json.dumps(
            {
                "static_resources": {
                    "listeners": [
                        {
                            "address": address(ports.server),
                            "filter_chains": [
                                {
                                    "filters": [
                                        {
                                            "name": "envoy.filters.network.http_connection_manager",
                                            "typed_config": manager,
                                        }
                                    ]
                                }
                            ],
                        }
                    ],
                    "clusters": [
                        {
                            "name": "api",
                            "type": "STATIC",
                            "load_assignment": {
                                "cluster_name": "api",
                                "endpoints": [
                                    {"lb_endpoints": [{"endpoint": {"address": address(ports.backend)}}]}
                                ],
                            },
                        }
                    ],
                }
            }
        )
    )
    return [binary, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c", str(config)]


def address(port: int) -> dict:
    """A loopback socket address as Envoy writes it."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def policies(folder: pathlib.Path, count: int) -> pathlib.Path:
    """A policy folder of `count` policies, five of which are about the route of the benchmark."""
    target = folder / f"policies-{count}"
    target.mkdir(exist_ok=True)
    workload = "spiffe://example.com/unix/checkout"
    call = 'action == Symbolon::Action::"call"'
    route = 'resource == Symbolon::Route::"orders"'
    about = [
        f'permit (principal == Symbolon::Workload::"{workload}", {call}, {route})\n'
        'when { context.method == "GET" && context.path like "/orders/*" && context.scopes.contains("orders:read") };',
        f'permit (principal == Symbolon::Workload::"{workload}", {call}, {route}) when {{ context.method == "HEAD" }};',
        f'forbid (principal, {call}, {route}) when {{ context.method == "DELETE" }};',
        f'forbid (principal, {call}, {route}) when {{ context.path like "/orders/secret*" }};',
        f'forbid (principal, {call}, {route}) unless {{ context.scopes.contains("orders:read") }};',
    ]
    others = [
        f'permit (principal == Symbolon::Workload::"{workload}/{number}", {call}, resource == Symbolon::Route::"other-{number}")\n'
        'when { context.method == "GET" && context.scopes.contains("other:read") };'
        for number in range(count - len(about))
    ]
    texts = [f'@id("policy-{number}")\n{text}\n' for number, text in enumerate(about + others)]
    (target / "bench.cedar").write_text("\n".join(texts))
    return target


VERIFY = "verify: { issuers: [bench], scopes: [orders:read] }"


def symbolon(binary: str, folder: pathlib.Path, ports: Ports, stages: list[str], cache: int = 10_000) -> list[str]:
    """Our gateway with these stages, public without any; `cache` is the number of verified tokens it remembers."""
    listed = "stages: [" + ", ".join(f"{{ {stage} }}" for stage in stages) + "]" if stages else "public: true"
    resource = f"resource: {AUDIENCE}" if stages else ""
    name = f"{len(stages)}-{cache}"
    config = folder / f"gateway-{name}.yaml"
    config.write_text(
        f"""
listen: 127.0.0.1:{ports.server}
admin: {{ listen: "127.0.0.1:{ports.admin}" }}
audit: {{ file: {folder}/audit-{name}.jsonl }}
origins: ["http://127.0.0.1:{ports.server}"]
token_cache: {{ entries: {cache} }}
issuers:
  - name: bench
    issuer: {ISSUER}
    jwks_file: {folder}/jwks.json
    audiences: [{AUDIENCE}]
    max_lifetime: 24h
    binding: when_bound
    trust_domain: example.com
routes:
  - name: orders
    match: {{ path: /orders/** }}
    {resource}
    upstream: {{ url: "http://127.0.0.1:{ports.backend}" }}
    {listed}
"""
    )
    return [binary, "serve", "--config", str(config)]
