# docker build .                  serves on the CPU
# docker build --build-arg NETWORKS=efficientnet-lite0 .   also has networks by name; SCS_DEFAULT_MODEL says which is asked
# docker build --target gpu .     serves on an NVIDIA GPU; the host needs the driver and the NVIDIA Container Toolkit

# One base for every stage: a venv runs only on the Python that made it. To pin it, give its digest:
#   docker buildx imagetools inspect python:3.11-slim-bookworm --format "{{.Manifest.Digest}}"
#   docker build --build-arg BASE_IMAGE=python:3.11-slim-bookworm@sha256:… .
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS source
# The base's own pip fills the venv, so that neither pip nor setuptools is in what is served.
RUN python3 -m venv --without-pip /opt/scs
WORKDIR /src
COPY . .

# Networks that `scs import` knows by name, beside the models of this folder. Torch, which exports them, stays in this stage.
FROM source AS networks
ARG NETWORKS=""
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca_bundle,target=/run/secrets/ca.pem if [ -n "$NETWORKS" ]; then \
    pip --python /opt/scs/bin/python install --no-cache-dir --constraint constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu '.[cpu,train,models]' \
    && for network in $NETWORKS; do (cd / && /opt/scs/bin/scs import "$network" --repository /networks) || exit 1; done \
    && cp -r /networks/. models/repository/; fi

# The two secrets are optional: a pip configuration and a certificate bundle, for networks that need their own.
FROM source AS build-gpu
COPY --from=networks /src/models/repository models/repository
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca_bundle,target=/run/secrets/ca.pem pip --python /opt/scs/bin/python install --no-cache-dir --constraint constraints.txt '.[gpu,grpc,otel]'

# The C++ kernels. The compiler stays in this stage.
FROM ${BASE_IMAGE} AS native
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends g++ >/dev/null && rm -rf /var/lib/apt/lists/*
COPY scs/native /src/scs/native
COPY models/onnx/native /src/models/onnx/native
RUN python3 /src/models/onnx/native/build.py

FROM source AS build-cpu
COPY --from=networks /src/models/repository models/repository
COPY --from=native /src/models/onnx/native/libscs.so models/onnx/native/
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca_bundle,target=/run/secrets/ca.pem pip --python /opt/scs/bin/python install --no-cache-dir --constraint constraints.txt '.[cpu,grpc,otel]'

FROM ${BASE_IMAGE} AS run
RUN useradd --no-create-home --shell /usr/sbin/nologin --uid 10001 scs
# ONNX Runtime's wheels report what they do to their maker unless told not to.
ENV PATH=/opt/scs/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    NUMBA_CACHE_DIR=/var/cache/scs \
    SCS_HOST=0.0.0.0 \
    SCS_PORT=8000
# Loops of the matching are compiled when the image is made. The compiler also writes here where it serves on another
# kind of processor; where it may not, it compiles in memory.
RUN install --directory --owner 10001 "$NUMBA_CACHE_DIR"
# By number, so that Kubernetes can see that it is not root.
USER 10001
EXPOSE 8000
# http.client and not urllib.request: it never asks a proxy for the way to this host.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['SCS_PORT']), timeout=3); c.request('GET', '/v2/health/ready'); sys.exit(c.getresponse().status != 200)"]
CMD ["scs", "serve"]

FROM run AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    SCS_DEVICE=cuda
COPY --from=build-gpu /opt/scs /opt/scs
RUN python -m service.tasks.match.warmup

FROM run AS cpu
COPY --from=build-cpu /opt/scs /opt/scs
RUN python -m service.tasks.match.warmup
