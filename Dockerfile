# The image of the pods that run Ray, and of the chart's jobs that run `dllm`. docs/container.md says how to build it.
# After the tag of BASE a digest may follow: python:3.11.14-slim-bookworm@sha256:...
ARG BASE=python:3.11.14-slim-bookworm

FROM ${BASE} AS wheel
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY constraints.txt ./
RUN python -m pip install --constraint constraints.txt setuptools
COPY pyproject.toml README.md LICENSE ./
COPY cluster cluster
COPY deployments deployments
COPY dllm_worker dllm_worker
# The time of all files in the wheel, in Unix seconds, so that the same commit gives the same wheel.
ARG SOURCE_DATE_EPOCH=315532800
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM ${BASE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv --without-pip /opt/dllm
COPY pyproject.toml constraints.txt ./
# The package index that has the build of torch, where that is not the one that has everything else.
ARG TORCH_INDEX=
RUN python -m pip --python /opt/dllm/bin/python install --no-compile --no-deps --constraint constraints.txt \
    ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
    > requirements.txt \
    && python -m pip --python /opt/dllm/bin/python install --no-compile --constraint constraints.txt \
    --requirement requirements.txt
# cpu or cuda: what torch has to be built for.
ARG VARIANT=cuda
# Bytecode is written here, once: the root of a pod is read-only. It holds no time, which would differ in each build.
# What is left out of torch is for its own tests, and for a later Python.
RUN /opt/dllm/bin/python -c "import torch; assert bool(torch.version.cuda) == ('$VARIANT' == 'cuda'), torch.__version__" \
    && /opt/dllm/bin/python -m compileall -q -j 0 -x torch/testing/_internal --invalidation-mode unchecked-hash \
    /opt/dllm/lib

FROM ${BASE}
# The PATH of a login shell, in which KubeRay's operator runs some commands, is that of /etc/profile.
RUN groupadd --gid 65532 dllm \
    && useradd --uid 65532 --gid 65532 --create-home --shell /bin/bash dllm \
    && echo "export PATH=/opt/dllm/bin:\$PATH" > /etc/profile.d/dllm.sh
COPY --from=dependencies /opt/dllm /opt/dllm
# The program is a layer of its own on what it depends on. What installs packages is not needed any more.
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    python -m pip --python /opt/dllm/bin/python install --no-compile --no-deps --no-index --no-cache-dir /wheels/*.whl \
    && /opt/dllm/bin/python -m compileall -q --invalidation-mode unchecked-hash \
    /opt/dllm/lib/python3.11/site-packages/cluster /opt/dllm/lib/python3.11/site-packages/deployments \
    /opt/dllm/lib/python3.11/site-packages/dllm_worker \
    && python -m pip uninstall --yes setuptools wheel pip
ENV PATH="/opt/dllm/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
ARG VARIANT=cuda
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dllm-cluster" \
    org.opencontainers.image.description="A multi-tenant inference cluster for diffusion language models on Ray Serve" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" \
    dllm.variant="$VARIANT"
USER 65532:65532
WORKDIR /home/dllm
EXPOSE 8000 8001 9000
CMD ["dllm", "--help"]
