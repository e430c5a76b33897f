#!/usr/bin/env bash
# Runs every check of the project, the cheap ones first, and stops at the first that fails.
#
#   run.sh              all steps
#   run.sh STEP...      just these, in the order given
#
#   tools    installs what the other steps need and is missing (Debian packages where root allows it, cargo-deny)
#   fmt      the sources are formatted
#   clippy   no lint fires
#   doc      the documentation builds without a warning
#   kit      the real servers are built (they build beside the steps before)
#   test     all tests: unit, property and golden tests, and the pipeline on the real servers
#   crds     deploy/crds is what the types say
#   deny     licences, banned crates and sources of the dependencies
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/kit/lib.sh
. tests/kit/lib.sh
steps=(tools fmt clippy doc kit test crds deny)
case ${1:-} in
  --help | -h) sed -n '2,/^set -/{/^set -/d; s/^# \{0,1\}//; p}' "$0"; exit 0 ;;
  '') ;;
  *) steps=("$@") ;;
esac
built=${CARGO_TARGET_DIR:-target}/debug
deny_version=0.20.2
deny_root=$kit_cache/tools/cargo-deny-$deny_version

# Always the whole workspace: choosing a package chooses other features, and compiles all dependencies again.
tools() {
  # without it, the tests on a real node are skipped, and say so
  tests/kit/real-node.sh install || [ $? = 3 ]
  if [ ! -x "$deny_root/bin/cargo-deny" ]; then
    echo "cargo-deny $deny_version is built once, in some minutes"
    CARGO_TARGET_DIR=$kit_cache/tools/target cargo install --quiet --locked --version "$deny_version" --root "$deny_root" cargo-deny
    rm -rf "$kit_cache/tools/target"
  fi
}
fmt() { cargo fmt --all --check; }
clippy() { cargo clippy --workspace --all-targets --locked -- -D warnings; }
doc() { RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --locked; }
kit() {
  if [ -z "$kit_pid" ]; then
    tests/kit/build-kit.sh
    return
  fi
  local status=0
  wait "$kit_pid" || status=$?
  kit_pid=
  cat "$kit_log" # what it said while other steps ran
  return $status
}
test_() {
  cargo build --workspace --locked # the pipeline runs the programs themselves
  local log status=0
  log=$(mktemp)
  cargo test --workspace --locked --no-fail-fast 2>&1 | tee "$log" || status=$?
  # one line for all test programs together
  awk '/^test result: / {for (i = 2; i <= NF; i++) {if ($i == "passed;") p += $(i-1); if ($i == "failed;") f += $(i-1); if ($i == "ignored;") s += $(i-1)}}
       END {printf "\n%d passed, %d failed, %d skipped\n", p, f, s}' "$log" | tee "$totals"
  rm -f "$log"
  return $status
}
crds() {
  cargo build --workspace --locked
  "$built/crdgen" --check
}
deny() {
  if [ ! -x "$deny_root/bin/cargo-deny" ]; then tools; fi
  "$deny_root/bin/cargo-deny" --locked --log-level error check bans licenses sources
}

kit_pid='' kit_log=
totals=$(mktemp)
cleanup() {
  if [ -n "$kit_pid" ]; then kill "$kit_pid" 2>/dev/null || true; fi
  [ -z "$kit_log" ] || rm -f "$kit_log"
  rm -f "$totals"
}
trap cleanup EXIT

report=()
summary() {
  printf '\n%-8s %8s  %s\n' step seconds result
  printf '%s\n' "${report[@]}"
  cat "$totals"
}
for step in "${steps[@]}"; do
  case $step in
    tools | fmt | clippy | doc | kit | crds | deny) command=$step ;;
    test) command=test_ ;;
    *) echo "run.sh: no step is called '$step' (see --help)" >&2; exit 2 ;;
  esac
  printf '\n── %s ──\n' "$step"
  begun=$SECONDS
  # A child of its own, so that a failing line ends the step: bash ignores -e in a function called by `if`.
  # The kit's is none, because only this shell can wait for the build that it started.
  set +e
  if [ "$step" = kit ]; then kit; else (set -e; "$command"); fi
  status=$?
  set -e
  took=$((SECONDS - begun))
  if [ "$status" = 0 ]; then
    report+=("$(printf '%-8s %8d  ok' "$step" "$took")")
  else
    report+=("$(printf '%-8s %8d  FAILED' "$step" "$took")")
    summary
    echo "the step '$step' failed; to run it alone: tests/run.sh $step" >&2
    exit 1
  fi
  # the kit takes minutes the first time; it builds while cargo does
  if [ "$step" = tools ] && [[ " ${steps[*]} " == *" kit "* ]]; then
    kit_log=$(mktemp)
    tests/kit/build-kit.sh > "$kit_log" 2>&1 &
    kit_pid=$!
  fi
done
summary
