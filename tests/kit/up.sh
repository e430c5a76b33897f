#!/usr/bin/env bash
# Boots a control plane on 127.0.0.1: etcd, kube-apiserver (RBAC, aggregation, audit log),
# kube-controller-manager, kube-scheduler, KWOK with fake nodes, metrics-server and, if
# asked, nats-server and Prometheus. Prints the path of a file to source.
#
#   CLUSTER_DIR        state, logs, pids, keys, kubeconfigs   (a new temporary folder)
#   PORT_BASE          first of 20 ports                      (a free block is leased)
#   NODES=20           fake nodes to create; NODE_CPU, NODE_MEM, NODE_PODS: see nodes.sh
#   WITH_METRICS=1 WITH_KWOK=1 WITH_NATS=0 WITH_PROM=0        1 starts it
#   METRIC_RESOLUTION=10s                                     metrics-server refuses less
#   KWOK_LEASE=40 KCM_ARGS= APISERVER_ARGS= SCHED_ARGS=       (from 500 nodes on:
#                      KWOK_LEASE=200 KCM_ARGS="--node-monitor-grace-period 240s")
#   KIT_OWNER=stdin    the cluster lives as long as the process that holds the other end
#                      of standard input, and is taken down when that process is gone
#
# Every process is recorded in $CLUSTER_DIR/pids; down.sh ends just those. What fails
# midway is taken down again, its logs kept in a folder that is named.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/kit/lib.sh
. "$here/lib.sh"
NODES=${NODES:-20} WITH_METRICS=${WITH_METRICS:-1} WITH_KWOK=${WITH_KWOK:-1} WITH_NATS=${WITH_NATS:-0} WITH_PROM=${WITH_PROM:-0}
KIT_DIR=$(KIT_PARTS="core nats$([ "$WITH_PROM" = 1 ] && echo ' prom')" "$here/build-kit.sh")
export KIT_DIR
begun=$(date +%s.%N)
say() { awk -v a="$begun" -v b="$(date +%s.%N)" -v text="$*" 'BEGIN {printf "kit: [%4.1f s] %s\n", b - a, text}' >&2; }

# --- where ------------------------------------------------------------------
if [ -z "${CLUSTER_DIR:-}" ]; then
  CLUSTER_DIR=$(mktemp -d "${TMPDIR:-/tmp}/kubeskippy-cluster-XXXXXX")
  : > "$CLUSTER_DIR/.made-by-up"
fi
if [ -s "$CLUSTER_DIR/pids" ]; then
  echo "up.sh: $CLUSTER_DIR is up, or was not taken down: run down.sh $CLUSTER_DIR" >&2
  exit 1
fi
export CLUSTER_DIR
mkdir -p "$CLUSTER_DIR"/{pki,log,etcd,nats,prom}
: > "$CLUSTER_DIR/pids"

undo() { # whatever ended us before the end: nothing stays up, the logs stay
  local status=$?
  trap - EXIT
  [ $status = 0 ] && exit 0
  KEEP=1 "$here/down.sh" "$CLUSTER_DIR" 8>&-
  rm -rf "$CLUSTER_DIR"/{etcd,nats,prom,pki} "$CLUSTER_DIR"/*.kubeconfig
  echo "kit: the control plane did not start; what it started is down, its logs are in $CLUSTER_DIR/log" >&2
  exit $status
}
trap undo EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
if [ "${KIT_OWNER:-}" = stdin ]; then
  setsid "$here/guard.sh" "$CLUSTER_DIR" $$ "$(started_at $$)" <&0 > /dev/null 2>&1 &
fi

# --- ports --------------------------------------------------------------------
# A block is leased by a lock on a file, which etcd inherits as descriptor 8 and holds
# as long as it lives; the Rust harness leases its ports the same way. The blocks lie
# below Linux's range for outgoing connections.
in_use() { # is a port of the block in /proc/net/tcp, in whatever state?
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v from="$1" '
    $4 ~ /^[0-9A-F][0-9A-F]$/ {
      n = split($2, address, ":"); port = 0
      for (i = 1; i <= 4; i++) port = port * 16 + index("123456789ABCDEF", substr(address[n], i, 1))
      if (port >= from && port < from + 20) found = 1
    }
    END {exit !found}'
}
lease() { # BASE
  exec 8> "$kit_cache/ports/$1"
  flock -n 8 && ! in_use "$1"
}
mkdir -p "$kit_cache/ports"
if [ -n "${PORT_BASE:-}" ]; then
  lease "$PORT_BASE" || { echo "up.sh: the ports from $PORT_BASE on are in use; leave PORT_BASE out to get free ones" >&2; exit 1; }
else
  slot=$((RANDOM % 700))
  for _ in $(seq 700); do
    PORT_BASE=$((18000 + slot * 20))
    if lease "$PORT_BASE"; then break; fi
    PORT_BASE='' slot=$(((slot + 1) % 700))
  done
  [ -n "$PORT_BASE" ] || { echo "up.sh: no block of 20 free ports between 18000 and 32000" >&2; exit 1; }
fi
etcd_port=$PORT_BASE etcd_peer=$((PORT_BASE + 1)) api=$((PORT_BASE + 2)) kcm=$((PORT_BASE + 3)) scheduler=$((PORT_BASE + 4))
kwok=$((PORT_BASE + 5)) metrics=$((PORT_BASE + 6)) nats=$((PORT_BASE + 7)) nats_monitor=$((PORT_BASE + 8)) prom=$((PORT_BASE + 9))
# 12 and 13 are real-node.sh's
bin=$KIT_DIR/bin pki=$CLUSTER_DIR/pki

cat > "$CLUSTER_DIR/env" << ENV
export KUBECONFIG=$CLUSTER_DIR/admin.kubeconfig
export PATH=$bin:\$PATH
export CLUSTER_DIR=$CLUSTER_DIR
export KIT_DIR=$KIT_DIR
export PORT_BASE=$PORT_BASE
export KUBE_API=https://127.0.0.1:$api
export KWOK_URL=http://127.0.0.1:$kwok
export NATS_URL=nats://127.0.0.1:$nats
export PROM_URL=http://127.0.0.1:$prom
ENV

# --- keys ---------------------------------------------------------------------
key() { [ -s "$pki/$1.key" ] || openssl ecparam -name prime256v1 -genkey -noout -out "$pki/$1.key" 2>/dev/null; }
authority() { # NAME COMMON_NAME
  [ -s "$pki/$1.crt" ] && return
  key "$1"
  openssl req -x509 -new -key "$pki/$1.key" -days 3650 -subj "/CN=$2" -out "$pki/$1.crt" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,digitalSignature 2>/dev/null
}
certificate() { # NAME AUTHORITY SUBJECT ALTERNATIVE_NAMES USAGE
  [ -s "$pki/$1.crt" ] && return
  key "$1"
  openssl req -new -key "$pki/$1.key" -subj "$3" -out "$pki/$1.csr" 2>/dev/null
  { echo "extendedKeyUsage=$5"; echo "keyUsage=critical,digitalSignature"; [ -z "$4" ] || echo "subjectAltName=$4"; } > "$pki/$1.ext"
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/$2.crt" -CAkey "$pki/$2.key" -CAcreateserial -days 3650 \
    -extfile "$pki/$1.ext" -out "$pki/$1.crt" 2>/dev/null
}
authority ca kit-ca
authority front-proxy-ca kit-front-proxy-ca
certificate apiserver ca /CN=kube-apiserver "IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local" serverAuth
certificate kubelet ca /CN=kwok "IP:127.0.0.1,DNS:localhost" serverAuth
certificate metrics-server ca /CN=metrics-server "IP:127.0.0.1,DNS:localhost,DNS:metrics-server.kube-system.svc" serverAuth
certificate apiserver-kubelet-client ca /O=system:masters/CN=kube-apiserver-kubelet-client "" clientAuth
certificate front-proxy-client front-proxy-ca /CN=front-proxy-client "" clientAuth
[ -s "$pki/sa.key" ] || { openssl genrsa -out "$pki/sa.key" 2048 2>/dev/null; openssl rsa -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2>/dev/null; }
[ -s "$pki/tokens.csv" ] || cat > "$pki/tokens.csv" << TOKENS
admin-$(openssl rand -hex 12),admin,1,"system:masters"
kcm-$(openssl rand -hex 12),system:kube-controller-manager,2
sched-$(openssl rand -hex 12),system:kube-scheduler,3
kwok-$(openssl rand -hex 12),kwok,4,"system:masters"
ms-$(openssl rand -hex 12),metrics-server,5,"system:masters"
TOKENS
chmod 600 "$pki"/*.key "$pki/tokens.csv"
token() { grep "^$1-" "$pki/tokens.csv" | cut -d, -f1; }
for user in admin kcm sched kwok ms; do
  (umask 077; cat > "$CLUSTER_DIR/$user.kubeconfig" << KUBECONFIG)
apiVersion: v1
kind: Config
clusters: [{name: kit, cluster: {server: "https://127.0.0.1:$api", certificate-authority: $pki/ca.crt}}]
users: [{name: kit, user: {token: $(token "$user")}}]
contexts: [{name: kit, context: {cluster: kit, user: kit}}]
current-context: kit
KUBECONFIG
done
export KUBECONFIG=$CLUSTER_DIR/admin.kubeconfig

# --- servers ------------------------------------------------------------------
wait_for() { # NAME SECONDS COMMAND...
  local name=$1 seconds=$2 end
  shift 2
  end=$((SECONDS + seconds))
  until "$@" > /dev/null 2>&1; do
    if [ $SECONDS -ge $end ]; then
      echo "kit: $name was not ready within $seconds s; the end of its log:" >&2
      tail -n 15 "$CLUSTER_DIR/log/$name.log" >&2 || true
      exit 1
    fi
    sleep 0.1
  done
  say "$name is ready"
}
kubectl() { "$bin/kubectl" "$@"; }

start etcd "$bin/etcd" --name kit --data-dir "$CLUSTER_DIR/etcd" --unsafe-no-fsync --log-level warn \
  --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
  --listen-peer-urls "http://127.0.0.1:$etcd_peer" --initial-advertise-peer-urls "http://127.0.0.1:$etcd_peer" \
  --initial-cluster "kit=http://127.0.0.1:$etcd_peer" --quota-backend-bytes 8589934592 \
  --auto-compaction-mode periodic --auto-compaction-retention 5m
exec 8>&- # the lease is etcd's now
wait_for etcd 60 curl -fsS "http://127.0.0.1:$etcd_port/readyz"

# Loopback only: no endpoint may have a loopback address, so the reconciler of the
# kubernetes service is off, and the kubelet is reached by address, for want of DNS.
# shellcheck disable=SC2086
start apiserver "$bin/kube-apiserver" --etcd-servers "http://127.0.0.1:$etcd_port" \
  --bind-address 127.0.0.1 --secure-port "$api" --advertise-address 127.0.0.1 --endpoint-reconciler-type none \
  --service-cluster-ip-range 10.96.0.0/16 --authorization-mode Node,RBAC --token-auth-file "$pki/tokens.csv" \
  --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
  --service-account-issuer https://kubernetes.default.svc.cluster.local --service-account-key-file "$pki/sa.pub" \
  --service-account-signing-key-file "$pki/sa.key" --kubelet-preferred-address-types InternalIP \
  --kubelet-client-certificate "$pki/apiserver-kubelet-client.crt" --kubelet-client-key "$pki/apiserver-kubelet-client.key" \
  --requestheader-client-ca-file "$pki/front-proxy-ca.crt" --requestheader-allowed-names front-proxy-client \
  --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
  --requestheader-extra-headers-prefix X-Remote-Extra- \
  --proxy-client-cert-file "$pki/front-proxy-client.crt" --proxy-client-key-file "$pki/front-proxy-client.key" \
  --audit-policy-file "$here/config/audit.yaml" --audit-log-path "$CLUSTER_DIR/log/audit.log" --audit-log-mode blocking --audit-log-maxsize 1000 \
  --enable-admission-plugins NodeRestriction --allow-privileged --profiling=false \
  --max-requests-inflight 1000 --max-mutating-requests-inflight 500 ${APISERVER_ARGS:-}
wait_for apiserver 120 kubectl get --raw /readyz

# shellcheck disable=SC2086
start controller-manager "$bin/kube-controller-manager" --kubeconfig "$CLUSTER_DIR/kcm.kubeconfig" --leader-elect=false \
  --bind-address 127.0.0.1 --secure-port "$kcm" --use-service-account-credentials \
  --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/ca.crt" \
  --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key" \
  --kube-api-qps 500 --kube-api-burst 1000 --cluster-cidr 10.244.0.0/16 --allocate-node-cidrs=false ${KCM_ARGS:-}
# shellcheck disable=SC2086
start scheduler "$bin/kube-scheduler" --kubeconfig "$CLUSTER_DIR/sched.kubeconfig" --leader-elect=false \
  --bind-address 127.0.0.1 --secure-port "$scheduler" --kube-api-qps 500 --kube-api-burst 1000 ${SCHED_ARGS:-}

if [ "$WITH_KWOK" = 1 ]; then
  kubectl create -f "$KIT_DIR/share/kwok/crd" --save-config=false > /dev/null 2>&1 || true # a folder that was up before has them
  kubectl wait --for=condition=Established crd --all --timeout=60s > /dev/null
  kubectl apply -f "$KIT_DIR/share/kwok/stage" -f "$KIT_DIR/share/kwok/metrics" -f "$here/manifests" > /dev/null
  start kwok "$bin/kwok" --kubeconfig "$CLUSTER_DIR/kwok.kubeconfig" --manage-all-nodes=false \
    --manage-nodes-with-annotation-selector kwok.x-k8s.io/node=fake --cidr 10.244.0.0/16 \
    --node-ip 127.0.0.1 --node-port "$kwok" --server-address "127.0.0.1:$kwok" --node-lease-duration-seconds "${KWOK_LEASE:-40}" \
    --tls-cert-file "$pki/kubelet.crt" --tls-private-key-file "$pki/kubelet.key" \
    --enable-crds Stage,Metric,ResourceUsage,ClusterResourceUsage,Logs,ClusterLogs
  wait_for kwok 60 curl -fsS "http://127.0.0.1:$kwok/healthz"
fi
if [ "$WITH_METRICS" = 1 ]; then
  # the aggregator reaches loopback through an ExternalName; endpoints may not be loopback addresses
  kubectl apply -f - > /dev/null << API
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec: {type: ExternalName, externalName: localhost, ports: [{name: https, port: $metrics, protocol: TCP}]}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  service: {name: metrics-server, namespace: kube-system, port: $metrics}
  group: metrics.k8s.io
  version: v1beta1
  caBundle: $(base64 -w0 "$pki/ca.crt")
  groupPriorityMinimum: 100
  versionPriority: 100
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: system:aggregated-metrics-reader
  labels: {rbac.authorization.k8s.io/aggregate-to-view: "true", rbac.authorization.k8s.io/aggregate-to-edit: "true", rbac.authorization.k8s.io/aggregate-to-admin: "true"}
rules: [{apiGroups: [metrics.k8s.io], resources: [pods, nodes], verbs: [get, list, watch]}]
API
  # the resolution must be larger than the request timeout, or it panics at its start
  start metrics-server "$bin/metrics-server" --kubeconfig "$CLUSTER_DIR/ms.kubeconfig" \
    --authentication-kubeconfig "$CLUSTER_DIR/ms.kubeconfig" --authorization-kubeconfig "$CLUSTER_DIR/ms.kubeconfig" \
    --bind-address 127.0.0.1 --secure-port "$metrics" --tls-cert-file "$pki/metrics-server.crt" --tls-private-key-file "$pki/metrics-server.key" \
    --kubelet-use-node-status-port --kubelet-insecure-tls --kubelet-preferred-address-types InternalIP \
    --metric-resolution "${METRIC_RESOLUTION:-10s}" --kubelet-request-timeout 3s
fi
if [ "$WITH_NATS" = 1 ]; then
  start nats-server "$bin/nats-server" -a 127.0.0.1 -p "$nats" -m "$nats_monitor" -js -sd "$CLUSTER_DIR/nats"
  wait_for nats-server 30 curl -fsS "http://127.0.0.1:$nats_monitor/healthz?js-enabled-only=true"
fi
if [ "$WITH_PROM" = 1 ]; then
  (umask 077; cat > "$CLUSTER_DIR/prom/prometheus.yml" << PROM)
global: {scrape_interval: 5s, evaluation_interval: 5s}
scrape_configs:
- job_name: apiserver
  scheme: https
  tls_config: {ca_file: $pki/ca.crt}
  authorization: {credentials: "$(token admin)"}
  static_configs: [{targets: ["127.0.0.1:$api"]}]
- job_name: kwok-resource
  kubernetes_sd_configs: [{role: node, kubeconfig_file: $CLUSTER_DIR/admin.kubeconfig}]
  scheme: https
  tls_config: {insecure_skip_verify: true}
  relabel_configs:
  - {source_labels: [__meta_kubernetes_node_label_type], regex: kwok, action: keep}
  - {source_labels: [__meta_kubernetes_node_name], target_label: __metrics_path__, replacement: /metrics/nodes/\$1/metrics/resource}
  - {source_labels: [__meta_kubernetes_node_name], target_label: node}
- job_name: kubelet-resource
  metrics_path: /metrics/resource
  kubernetes_sd_configs: [{role: node, kubeconfig_file: $CLUSTER_DIR/admin.kubeconfig}]
  scheme: https
  tls_config: {insecure_skip_verify: true}
  authorization: {credentials: "$(token admin)"}
  relabel_configs:
  - {source_labels: [__meta_kubernetes_node_label_type], regex: kwok, action: drop}
  - {source_labels: [__meta_kubernetes_node_name], target_label: node}
PROM
  start prometheus "$bin/prometheus" --config.file "$CLUSTER_DIR/prom/prometheus.yml" --storage.tsdb.path "$CLUSTER_DIR/prom/data" \
    --web.listen-address "127.0.0.1:$prom" --log.level warn
  wait_for prometheus 60 curl -fsS "http://127.0.0.1:$prom/-/ready"
fi
# no pod can be created before its namespace has the default service account
wait_for controller-manager 60 kubectl -n default get serviceaccount default
if [ "$NODES" -gt 0 ] && [ "$WITH_KWOK" = 1 ]; then
  "$here/nodes.sh" 0 "$NODES"
  wait_for scheduler 180 kubectl wait --for=condition=Ready node --all --timeout=180s
fi
if [ "$WITH_METRICS" = 1 ]; then wait_for metrics-server 60 kubectl get --raw /apis/metrics.k8s.io/v1beta1/nodes; fi
say "up, $NODES fake nodes"
echo "$CLUSTER_DIR/env"
