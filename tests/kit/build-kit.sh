#!/usr/bin/env bash
# Builds the real servers that the tests and the demo run against, from Go modules
# with pinned versions: Kubernetes, etcd, KWOK, metrics-server, NATS, Prometheus, Helm.
#
#   build-kit.sh               builds what is missing and prints the folder
#   build-kit.sh --print-dir   prints the folder and builds nothing
#   build-kit.sh --help
#
#   KIT_PARTS        which parts, of "core nats prom helm" (all of them)
#   KUBESKIPPY_CACHE where it is kept                      (~/.cache/kubeskippy)
#   GOTOOLCHAIN      as Go reads it                        (local)
#
# The folder is named by a hash of what decides the binaries, so a changed version
# never meets an old binary. Several callers may ask at once: one builds, the others
# wait. A first build takes about 18 CPU minutes and 4 GB of Go caches; with a warm
# Go build cache it is a minute of linking; with nothing to do it is instant.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/kit/lib.sh
. "$here/lib.sh"
mod=$here/gomod
sum=$(cd "$here" && cat gomod/go.mod gomod/go.sum gomod/kube/main.go build-kit.sh | sha256sum | cut -c1-16)
dir=$kit_cache/kit/$sum
parts=${KIT_PARTS:-core nats prom helm}

case ${1:-} in
  --print-dir) echo "$dir"; exit 0 ;;
  --help | -h) sed -n '2,/^set -/{/^set -/d; s/^# \{0,1\}//; p}' "${BASH_SOURCE[0]}"; exit 0 ;;
  '') ;;
  *) echo "build-kit.sh: unknown argument '$1' (see --help)" >&2; exit 2 ;;
esac

# part, binary, package, what is in it. The five kube programs are one multi-call
# binary, and all parts share one Go module, so that what they have in common is
# compiled and linked once.
targets() {
  cat <<'T'
core kube ./kube kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kubectl
core etcd go.etcd.io/etcd/server/v3 etcd
core kwok sigs.k8s.io/kwok/cmd/kwok KWOK
core metrics-server sigs.k8s.io/metrics-server/cmd/metrics-server metrics-server
core nats-server github.com/nats-io/nats-server/v2 nats-server
nats nats github.com/nats-io/natscli/nats the nats command
prom prometheus github.com/prometheus/prometheus/cmd/prometheus Prometheus
prom promtool github.com/prometheus/prometheus/cmd/promtool promtool
helm helm helm.sh/helm/v4/cmd/helm Helm
T
}

missing_parts() { # the parts asked for that are not there, one a line
  local part
  for part in $parts; do
    grep -q "^$part " <<< "$(targets)" || { echo "build-kit.sh: no part is called '$part'" >&2; exit 2; }
    [ -e "$dir/stamp/$part" ] || echo "$part"
  done
}

used() { touch "$dir"; } # the newest folders are the ones kept

wanted=$(missing_parts)
if [ -z "$wanted" ]; then used; echo "$dir"; exit 0; fi

# --- tools -----------------------------------------------------------------
need_go=$(awk '$1 == "go" {print $2; exit}' "$mod/go.mod")
export GOTOOLCHAIN=${GOTOOLCHAIN:-local}
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; } # HAVE WANT
missing_tools() {
  local tool package packages=() have=none candidate
  for tool in gcc:gcc openssl:openssl jq:jq curl:curl flock:util-linux; do
    package=${tool#*:}
    command -v "${tool%%:*}" > /dev/null || { packages+=("$package"); echo "  - ${tool%%:*} is not installed"; }
  done
  if command -v go > /dev/null; then have=$(cd / && go env GOVERSION); have=${have#go}; have=${have%% *}; fi
  if [ "$have" = none ] || { [ "$GOTOOLCHAIN" = local ] && ! at_least "$have" "$need_go"; }; then
    echo "  - Go $need_go or newer is needed, and $([ "$have" = none ] && echo "there is none" || echo "this is Go $have")"
    candidate=$(apt-cache policy golang-go 2>/dev/null | awk '/Candidate:/ {sub(/^.*:/, "", $2); print $2}')
    if [ -n "$candidate" ] && at_least "${candidate%%[~-]*}" "$need_go"; then
      packages+=(golang-go)
    else
      echo "    Unpack a newer one:  curl -fsSL https://go.dev/dl/go$need_go.linux-amd64.tar.gz | tar -C /usr/local -xz; export PATH=/usr/local/go/bin:\$PATH"
      [ "$have" = none ] || echo "    or let Go 1.21 and newer fetch it:  GOTOOLCHAIN=auto"
    fi
  fi
  [ ${#packages[@]} = 0 ] || echo "    On Debian:  apt-get install ${packages[*]}"
}
lacking=$(missing_tools)
if [ -n "$lacking" ]; then
  printf 'kit: the real servers cannot be built yet:\n%s\n' "$lacking" >&2
  exit 1
fi

# --- progress --------------------------------------------------------------
tty=; if [ -t 2 ]; then tty=1; fi
clear_line() { if [ -n "$tty" ]; then printf '\r\033[K' >&2; fi; }
say() { clear_line; echo "kit: $*" >&2; }
tick() { # SECONDS TEXT: rewritten every two seconds on a terminal, a line per 30 s elsewhere
  if [ -n "$tty" ]; then
    [ $(($1 % 2)) = 0 ] && printf '\r\033[Kkit: %s, %s s' "$2" "$1" >&2
  elif [ "$1" -gt 0 ] && [ $(($1 % 30)) = 0 ]; then
    echo "kit: $2, $1 s" >&2
  fi
  return 0
}

# --- one builder at a time ---------------------------------------------------
mkdir -p "$kit_cache/kit" "$kit_cache/log"
exec 9> "$kit_cache/kit/.lock"
waited=0
until flock -w 1 9; do tick "$waited" "another process is building; waiting"; waited=$((waited + 1)); done
clear_line
wanted=$(missing_parts)
if [ -z "$wanted" ]; then used; echo "$dir"; exit 0; fi

mkdir -p "$dir"/{bin,stamp} "$dir"/share/kwok/{crd,stage,metrics}
log=$kit_cache/log/kit-$sum.log
begun=$SECONDS
cd "$mod"
export CGO_ENABLED=0 GOFLAGS="-buildvcs=false -trimpath -mod=readonly"
build=
trap 'if [ -n "$build" ]; then kill "$build" 2>/dev/null; fi' EXIT

# Runs a command into the log, with progress; on failure shows the log's end.
quietly() { # TEXT COMMAND...
  local text=$1 at=$SECONDS second=-1 compiled
  shift
  echo "== $text: $*" >> "$log"
  local from; from=$(wc -l < "$log")
  "$@" >> "$log" 2>&1 9>&- &
  build=$!
  while kill -0 "$build" 2>/dev/null; do
    if [ $((SECONDS - at)) != "$second" ]; then
      second=$((SECONDS - at))
      compiled=$(tail -n "+$((from + 1))" "$log" | grep -cv '^go: ' || true)
      tick "$second" "$text, $compiled packages compiled"
    fi
    sleep 0.2
  done
  if ! wait "$build"; then
    build=
    say "$text failed; the end of $log:"
    tail -n "+$((from + 1))" "$log" | tail -n 20 >&2
    exit 1
  fi
  build=
  say "$text, $((SECONDS - at)) s"
}

: > "$log"
say "building in $dir"
say "the first time this takes 10 to 20 minutes; the full output is in $log"
quietly "resolving the modules" go list -m all

version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}
v=k8s.io/component-base/version
ldflags="-s -w -X $v.gitVersion=$version -X $v.gitMajor=1 -X $v.gitMinor=${minor%%.*} -X $v.gitTreeState=clean -X $v.buildDate=1970-01-01T00:00:00Z"
ldflags+=" -X github.com/prometheus/common/version.Version=$(go list -m -f '{{.Version}}' github.com/prometheus/prometheus)"

all=$(targets | grep -cE "^($(paste -sd '|' <<< "$wanted")) ")
n=0
for part in $wanted; do
  # Prometheus's discovery of some 25 clouds stays out: it is most of its size.
  tags=; if [ "$part" = prom ]; then tags=remove_all_sd,enable_kubernetes_sd; fi
  while read -r _ name package text; do
    n=$((n + 1))
    quietly "part $n of $all: $text" go build -v -tags "$tags" -ldflags "$ldflags" -o "$dir/bin/.$name.new" "$package"
    mv -f "$dir/bin/.$name.new" "$dir/bin/$name"
  done < <(targets | grep "^$part ")
  if [ "$part" = core ]; then
    for name in kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl; do ln -sf kube "$dir/bin/$name"; done
    # KWOK's own CRDs, stages and simulated kubelet metrics, from the module itself
    kustomize=$(go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize
    install -m 644 "$kustomize"/crd/bases/*.yaml "$dir/share/kwok/crd/"
    for file in node/fast/node-initialize node/heartbeat-with-lease/node-heartbeat-with-lease pod/fast/pod-ready pod/fast/pod-complete pod/fast/pod-delete; do
      install -m 644 "$kustomize/stage/$file.yaml" "$dir/share/kwok/stage/"
    done
    install -m 644 "$kustomize/metrics/resource/metrics-resource.yaml" "$dir/share/kwok/metrics/"
  fi
  : > "$dir/stamp/$part"
done
used

# Other hashes' folders: only the newest one besides this stays (540 MB each).
find "$kit_cache/kit" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' | sort -rn | tail -n +3 | cut -d' ' -f2- |
  while read -r old; do rm -rf "$old"; done
say "ready in $((SECONDS - begun)) s"
echo "$dir"
