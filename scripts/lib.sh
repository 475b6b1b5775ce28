# Shared by the scripts beside it; sourced, not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# One cache for all clones on this machine: compiled dependencies, installed test tools.
SYMBOLON_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/symbolon"
export SYMBOLON_CACHE
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$SYMBOLON_CACHE/target}"
mkdir -p "$SYMBOLON_CACHE"

say() { printf '%s\n' "$*" >&2; }
step() { printf '\n== %s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# Cargo without the network once everything is in its local registry.
offline_if_possible() {
    if cargo metadata --locked --offline --format-version 1 >/dev/null 2>&1; then
        export CARGO_NET_OFFLINE=true
    fi
}
