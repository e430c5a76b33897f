#!/usr/bin/env bash
# Joins one real node (containerd, runc, kubelet) to a cluster that up.sh made, or takes
# it out again. Source the cluster's env file first.
#
#   real-node.sh          starts it and waits until it is Ready
#   real-node.sh down     ends it and removes containers, mounts, cgroups and the bridge
#   real-node.sh install  only installs what it needs, for which no cluster is needed
#
#   NODE=real-0           its name
#   BRIDGE=ksk<port>      its bridge, and
#   NET=10.245.<n>        the first three numbers of its subnet: both follow PORT_BASE,
#                         so that clusters side by side do not meet
#
# It needs root and Linux. On Debian what is missing is installed with apt-get. Where it
# cannot run, it says why in one line and exits with 3. Images are made here and pulled
# from nowhere: kit.local/busybox:1 holds a shell and /bin/leaky (see real/leaky.c).
# One real node runs on a machine at a time, because kubelets share the cgroup kubepods.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/kit/lib.sh
. "$here/lib.sh"
skip() { echo "real node: $*" >&2; exit 3; }

# --- may it run here? -----------------------------------------------------------
lacking() {
  command -v containerd > /dev/null && command -v ctr > /dev/null || echo containerd
  command -v runc > /dev/null || echo runc
  [ -x /usr/lib/cni/bridge ] || echo containernetworking-plugins
  [ -x /bin/busybox ] || echo busybox-static
  command -v iptables > /dev/null || echo iptables
  command -v ip > /dev/null || echo iproute2
  command -v gcc > /dev/null || echo "gcc libc6-dev"
}
may_run() {
  local missing log=$kit_cache/log/apt.log
  [ "$(uname -s)" = Linux ] || skip "it needs Linux"
  [ "$(id -u)" = 0 ] || skip "it needs root, for containerd and cgroups"
  missing=$(lacking | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  command -v apt-get > /dev/null || skip "not installed: $missing"
  echo "real node: installing $missing" >&2
  mkdir -p "$kit_cache/log"
  # shellcheck disable=SC2086
  install() { DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing > "$log" 2>&1; }
  install || { apt-get update > /dev/null 2>&1 && install; } || skip "could not install $missing(see $log)"
  missing=$(lacking | tr '\n' ' ')
  [ -z "$missing" ] || skip "still not installed: $missing"
}
if [ "${1:-}" = install ]; then may_run; exit 0; fi

: "${CLUSTER_DIR:?source the env file of a cluster first}"
real=$CLUSTER_DIR/real socket=$CLUSTER_DIR/real/containerd.sock log=$CLUSTER_DIR/log
# the cluster's own file, not the environment, which may be another cluster's
# shellcheck disable=SC1091
. "$CLUSTER_DIR/env"
slot=$(((PORT_BASE - 18000) / 20))
NODE=${NODE:-real-0} BRIDGE=${BRIDGE:-ksk$PORT_BASE} NET=${NET:-10.$((245 + slot / 250)).$((slot % 250))}
# shellcheck disable=SC1091
if [ -f "$real/names" ]; then . "$real/names"; fi # what it was started with is what is taken down
KUBECONFIG=$CLUSTER_DIR/admin.kubeconfig
export KUBECONFIG
kubectl() { "$KIT_DIR/bin/kubectl" "$@"; }
containers() { ctr --connect-timeout 2s -a "$socket" -n k8s.io "$@"; }

end_recorded() { # NAME
  { grep " $1\$" "$CLUSTER_DIR/pids" || true; } | end_all
  sed -i "/ $1\$/d" "$CLUSTER_DIR/pids"
}

down() {
  [ -d "$real" ] || return 0
  timeout 10 "$KIT_DIR/bin/kubectl" delete node "$NODE" --ignore-not-found --wait=false > /dev/null 2>&1 || true
  end_recorded kubelet # first, or it starts again what is ended here
  local id namespaces
  # only the network namespaces of our own containers: others on this machine are not ours
  namespaces=$(for id in $(containers containers ls -q 2>/dev/null); do
    containers containers info "$id" | jq -r '.Spec.linux.namespaces[]? | select(.type == "network") | .path // empty'
  done | sort -u)
  for id in $(containers tasks ls -q 2>/dev/null); do containers tasks kill -s KILL "$id" > /dev/null 2>&1 || true; done
  for id in $(containers tasks ls -q 2>/dev/null); do
    for _ in $(seq 30); do containers tasks rm -f "$id" > /dev/null 2>&1 && break; sleep 0.1; done
  done
  for id in $(containers containers ls -q 2>/dev/null); do containers containers rm "$id" > /dev/null 2>&1 || true; done
  end_recorded containerd
  { grep -E " ($real|$CLUSTER_DIR/kubelet)(/| )" /proc/mounts || true; } | cut -d' ' -f2 | sort -r | while read -r mount; do
    umount -l "$mount" 2>/dev/null || true
  done
  for id in $namespaces; do
    case $id in /var/run/netns/cni-* | /run/netns/cni-*) ip netns del "${id##*/}" 2>/dev/null || true ;; esac
  done
  ip link del "$BRIDGE" 2>/dev/null || true
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null || true # empty ones only
  local file value
  while read -r file value; do echo "$value" > "$file" 2>/dev/null || true; done < "$real/sysctl.before"
  rm -rf "$real" "$CLUSTER_DIR/kubelet"
}
case ${1:-up} in
  down) down; exit 0 ;;
  up) ;;
  *) echo "real-node.sh: unknown argument '$1'" >&2; exit 2 ;;
esac

may_run
exec 6> "/run/lock/kubeskippy-real-node"
flock -w "${REAL_NODE_WAIT:-300}" 6 || skip "another real node has been up for ${REAL_NODE_WAIT:-300} s (one runs at a time)"
route=$(ip -4 route list "$NET.0/24")
[ -z "$route" ] || skip "the subnet $NET.0/24 is in use here (set NET to another, say NET=10.99.7)"

# --- start ------------------------------------------------------------------------
# shellcheck disable=SC2317  # the trap calls it
undo() {
  local status=$?
  trap - EXIT
  [ "$status" = 0 ] || down
  exit "$status"
}
mkdir -p "$real/cni" "$log" "$CLUSTER_DIR/kubelet"
printf '%s\n' "NODE=$NODE" "BRIDGE=$BRIDGE" "NET=$NET" > "$real/names"
# the kubelet and the bridge plugin change these; `down` puts them back
for name in vm/overcommit_memory kernel/panic kernel/panic_on_oops net/ipv4/ip_forward; do
  echo "/proc/sys/$name $(cat "/proc/sys/$name")"
done > "$real/sysctl.before"
trap undo EXIT

# a bridge of our own: node address and pod network, nothing leaves this machine
ip link add "$BRIDGE" type bridge
ip addr add "$NET.1/24" dev "$BRIDGE"
ip link set "$BRIDGE" up
cat > "$real/cni/10-kit.conflist" << CNI
{"cniVersion":"0.4.0","name":"kit","plugins":[{"type":"bridge","bridge":"$BRIDGE","isGateway":true,"ipMasq":false,"hairpinMode":true,
 "ipam":{"type":"host-local","dataDir":"$real/ipam","ranges":[[{"subnet":"$NET.0/24","rangeStart":"$NET.10","gateway":"$NET.1"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
CNI
cat > "$real/containerd.toml" << TOML
version = 2
root = "$real/containerd-root"
state = "$real/containerd-state"
[grpc]
  address = "$socket"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "kit.local/pause:1"
  # without CAP_SYS_RESOURCE nobody may lower oom_score_adj, and runc fails ("can't get final child's PID from pipe: EOF")
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$real/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
TOML
start containerd containerd -c "$real/containerd.toml" -l warn 6>&-
for _ in $(seq 100); do ctr -a "$socket" version > /dev/null 2>&1 && break; sleep 0.1; done
gcc -static -Os -s -o "$real/leaky" "$here/real/leaky.c"
"$here/real/mkimage.sh" "$real/pause.tar" kit.local/pause:1 /leaky "$real/leaky:/leaky"
"$here/real/mkimage.sh" "$real/busybox.tar" kit.local/busybox:1 /bin/sh "/bin/busybox:/bin/busybox" "$real/leaky:/bin/leaky"
for image in pause busybox; do containers images import "$real/$image.tar" > /dev/null; done

cat > "$CLUSTER_DIR/kubelet.yaml" << KUBELET
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NET.1
port: $((PORT_BASE + 12))
healthzBindAddress: 127.0.0.1
healthzPort: $((PORT_BASE + 13))
readOnlyPort: 0
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $CLUSTER_DIR/pki/ca.crt}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix://$socket
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: [pods]
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
nodeStatusUpdateFrequency: 5s
resolvConf: /etc/resolv.conf
clusterDomain: cluster.local
clusterDNS: ["10.96.0.10"]
maxPods: 60
serializeImagePulls: false
KUBELET
# descriptor 6, the lock that lets one real node run at a time, is the kubelet's from here on
start kubelet "$KIT_DIR/bin/kubelet" --config "$CLUSTER_DIR/kubelet.yaml" --kubeconfig "$CLUSTER_DIR/admin.kubeconfig" \
  --hostname-override "$NODE" --node-ip "$NET.1" --root-dir "$CLUSTER_DIR/kubelet" --cert-dir "$CLUSTER_DIR/kubelet/pki" \
  --node-labels sim.kubeskippy.io/real=true --register-with-taints sim.kubeskippy.io/real=true:NoSchedule --v=1
for _ in $(seq 300); do
  if [ "$(kubectl get node "$NODE" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]; then
    echo "real node: $NODE is Ready" >&2
    exit 0
  fi
  sleep 0.2
done
echo "real node: $NODE was not Ready within 60 s; from the kubelet's log:" >&2
grep -E '^E|fail|err=' "$log/kubelet.log" | tail -n 15 >&2 || true
exit 1
