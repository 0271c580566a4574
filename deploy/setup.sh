#!/usr/bin/env bash
# Installs what Segue is built from on Debian or Ubuntu; with `--tests` also the clients that the tests call with.
# Runs as root or with sudo; what is there already is left alone.
set -euo pipefail

build=(build-essential cmake pkg-config flite1-dev curl ca-certificates)
tests=(sip-tester baresip-core openssl procps)

wanted=("${build[@]}")
[ "${1:-}" = "--tests" ] && wanted+=("${tests[@]}")

missing=()
for package in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)

if [ "${#missing[@]}" -gt 0 ]; then
    echo "setup: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if ! command -v cargo >/dev/null; then
    echo "setup: no cargo here; trying Debian's rustup"
    if ! "${as_root[@]}" apt-get install -y -qq --no-install-recommends rustup; then
        echo "setup: this release has no package rustup; install Rust from https://rustup.rs and run this again" >&2
        exit 1
    fi
fi
if command -v rustup >/dev/null; then
    # The toolchain that rust-toolchain.toml names; nothing happens where it is installed.
    toolchain=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$(dirname "$0")/../rust-toolchain.toml")
    rustup toolchain list | grep -q "^$toolchain" || rustup toolchain install "$toolchain" --profile minimal -c clippy -c rustfmt
fi
