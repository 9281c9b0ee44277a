#!/usr/bin/env bash
# Builds the images from the committed tree: build.sh service|gateway ...
#
# COMMIT: what is built, if not HEAD.
# BUILDER: docker or buildah, whichever is there.  IMAGE: name without the part `-service`, `-gateway`.  TAG: the commit.
# BASE: the base image, if not the Dockerfile's.  WHEELS: a folder of wheels to install from instead of an index.
# BUILD_FLAGS: anything else that the builder should be told.
set -euo pipefail
cd "$(dirname "$0")/../.."
commit=$(git rev-parse "${COMMIT:-HEAD}")
builder=${BUILDER:-$(command -v buildah >/dev/null && echo buildah || echo docker)}
tag=${TAG:-${commit:0:12}}
read -ra flags <<<"${BUILD_FLAGS:-}"
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
git archive "$commit" | tar -x -C "$context"
[[ -z ${BASE:-} ]] || flags+=(--build-arg "BASE=$BASE")
if [[ -n ${WHEELS:-} ]]; then
  # Inside the context, since docker knows no other folder while it builds.
  cp -al "$(realpath "$WHEELS")" "$context/deploy/docker/wheels" 2>/dev/null || cp -r "$WHEELS" "$context/deploy/docker/wheels"
  flags+=(--build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/docker/wheels)
fi
for part in "$@"; do
  name=${IMAGE:-assay}-$part:$tag
  arguments=(--file "$context/deploy/docker/$part.Dockerfile" --tag "$name" --label "org.opencontainers.image.revision=$commit")
  case $builder in
    buildah) buildah build "${arguments[@]}" "${flags[@]}" "$context" ;;
    docker) docker build "${arguments[@]}" "${flags[@]}" "$context" ;;
    *) echo "BUILDER must be docker or buildah, not $builder" >&2; exit 2 ;;
  esac
  echo "built $name"
done
