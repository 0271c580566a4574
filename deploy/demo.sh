#!/usr/bin/env bash
# One whole call handed over on this machine, with sound: builds Segue and runs `segue demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
./deploy/setup.sh
exec cargo run --release --quiet --package segue-gateway --bin segue -- demo "$@"
