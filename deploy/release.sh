#!/usr/bin/env bash
# Builds the release that goes onto a server, and proves what it is built for.
#
#   deploy/release.sh native     for this processor and none older: the fastest, for the machine that builds it
#   deploy/release.sh portable   for x86-64-v3 (AVX2, FMA, F16C, BMI2): every server processor since about 2015
#
# `--check` builds nothing and examines what was built before. The program lies in target/<kind>/<triple>/release.
set -euo pipefail
cd "$(dirname "$0")/.."

kind="${1:-}"
case "$kind" in
    native) processor=native ;;
    portable)
        processor=x86-64-v3
        # whisper-rs-sys hands every GGML_… variable to CMake. Without GGML_NATIVE=OFF, CMake asks this processor.
        export GGML_NATIVE=OFF GGML_SSE42=ON GGML_AVX=ON GGML_AVX2=ON GGML_FMA=ON GGML_F16C=ON GGML_BMI2=ON
        ;;
    *)
        sed -n 's/^# \{0,1\}//p' "$0" | sed 1d >&2
        exit 2
        ;;
esac

triple="$(rustc -vV | sed -n 's/^host: //p')"
# A folder each: cargo does not see that a variable of whisper.cpp's build has changed. The triple is named, so that
# the programs that help to build run on this machine whatever the release is for.
folder="${CARGO_TARGET_DIR:-target}/$kind"
built="$folder/$triple/release"

if [ "${2:-}" != --check ]; then
    RUSTFLAGS="-C target-cpu=$processor" cargo build --release --locked --target "$triple" \
        --target-dir "$folder" --package segue-gateway --bin segue
fi

# Registers and masks that only AVX-512 has. The archives hold whisper.cpp and nothing else.
avx512='%zmm|%[xy]mm(1[6-9]|2[0-9]|3[01])|%k[0-7]'
archives=("$built"/build/whisper-rs-sys-*/out/lib/lib{whisper,ggml,ggml-base,ggml-cpu}.a)
for archive in "${archives[@]}"; do
    [ -f "$archive" ] || { echo "release: there is no $archive; build first" >&2; exit 1; }
done
found=$(objdump -d --no-show-raw-insn "${archives[@]}" | grep -cE "$avx512" || true)
wide=$(objdump -d --no-show-raw-insn "${archives[@]}" | grep -cE 'vfmadd[0-9]+ps.*%ymm' || true)
echo "release: $built/segue is for $processor; whisper.cpp: $found instructions of AVX-512, $wide of FMA on 256 bits"
if [ "$kind" = portable ] && { [ "$found" -ne 0 ] || [ "$wide" -eq 0 ]; }; then
    echo "release: that is not x86-64-v3: remove $folder and build again" >&2
    exit 1
fi

# The whole way of a call, recognition included.
"$built/segue" demo
