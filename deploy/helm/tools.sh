#!/usr/bin/env bash
# What `make chart` needs: helm, built from its module into the user's cache, and Kubernetes' schemas beside the tests.
set -euo pipefail
python=$1
tools=${XDG_CACHE_HOME:-$HOME/.cache}/keeprate/tools
if [ ! -x "$tools/helm" ] && ! command -v helm >/dev/null; then
  command -v go >/dev/null || { echo "helm is not installed, and there is no go to build it with" >&2; exit 1; }
  echo "building helm (some minutes, once)"
  GOBIN=$tools go install helm.sh/helm/v3/cmd/helm@v3.22.0
fi
if ! "$python" -c 'import kubernetes_validate' 2>/dev/null; then
  if command -v uv >/dev/null; then
    uv pip install --quiet --python "$python" --no-deps --require-hashes -r tests/chart/requirements.lock
  else
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/chart/requirements.lock
  fi
fi
