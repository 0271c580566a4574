#!/usr/bin/env bash
# Everything that must hold before a change lands: format, lints, all tests, with real SIP clients on loopback.
set -euo pipefail
cd "$(dirname "$0")/.."
./deploy/setup.sh --tests
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
cargo test --workspace --locked --no-fail-fast
