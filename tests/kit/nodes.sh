#!/usr/bin/env bash
# nodes.sh FROM TO: creates fake nodes kwok-FROM .. kwok-(TO-1). Needs KUBECONFIG and KIT_DIR (source the cluster's env file).
#   NODE_CPU=32 NODE_MEM=128Gi NODE_PODS=110   what each node offers
# shellcheck disable=SC2016  # what is quoted is evaluated later, on purpose
set -euo pipefail
: "${KUBECONFIG:?source the env file of a cluster first}" "${KIT_DIR:?source the env file of a cluster first}"
export KIT_DIR cpu=${NODE_CPU:-32} memory=${NODE_MEM:-128Gi} pods=${NODE_PODS:-110}
version=v$(awk '$1 == "k8s.io/kubernetes" {sub(/^v/, "", $2); print $2; exit}' "$(dirname "${BASH_SOURCE[0]}")/gomod/go.mod")
export version
chunk() { # FROM TO
  local i name
  for i in $(seq "$1" $(($2 - 1))); do
    name=kwok-$i
    # kernelVersion has three numbers: KWOK renders it unquoted, and "6.1" would become a float and fail
    cat << NODE
---
apiVersion: v1
kind: Node
metadata:
  name: $name
  annotations: {kwok.x-k8s.io/node: fake, metrics.k8s.io/resource-metrics-path: /metrics/nodes/$name/metrics/resource, node.alpha.kubernetes.io/ttl: "0"}
  labels: {kubernetes.io/hostname: $name, kubernetes.io/os: linux, kubernetes.io/arch: amd64, topology.kubernetes.io/zone: zone-$((i % 3)), type: kwok, node-role.kubernetes.io/worker: ""}
status:
  allocatable: {cpu: "$cpu", memory: $memory, pods: "$pods", ephemeral-storage: 200Gi}
  capacity: {cpu: "$cpu", memory: $memory, pods: "$pods", ephemeral-storage: 200Gi}
  nodeInfo: {architecture: amd64, bootID: "", containerRuntimeVersion: "containerd://2.0.0", kernelVersion: 6.1.0, kubeProxyVersion: fake, kubeletVersion: $version, machineID: "", operatingSystem: linux, osImage: kwok, systemUUID: ""}
NODE
  done | "$KIT_DIR/bin/kubectl" create --validate=false -f - > /dev/null
}
export -f chunk
for from in $(seq "$1" 100 $(($2 - 1))); do
  to=$((from + 100))
  [ $to -le "$2" ] || to=$2
  echo "$from $to"
done | xargs -P 4 -L 1 bash -c 'set -euo pipefail; chunk "$0" "$1"'
