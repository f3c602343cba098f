# nightlane in a container. The base is a build argument: a CUDA base for GPUs, a Debian for CPUs.
#
#   docker build --tag nightlane .
#   docker build --tag nightlane:cpu --build-arg BASE=debian:bookworm-slim \
#     --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu .
#
# The wheels of torch bring CUDA's libraries along, so the base needs only what passes the driver on.
ARG BASE=nvidia/cuda:12.8.1-base-ubuntu24.04
FROM ${BASE}

# bubblewrap is for the sandbox; where a container may not use it, Landlock is used, which needs no package.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/venv

# Any user may run it: the home is the workspace, and the name is set.
ENV HOME=/work \
    LOGNAME=nightlane \
    PATH=/opt/venv/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1

ARG TORCH_INDEX=
ARG EXTRAS=gate,gguf
WORKDIR /opt/nightlane
COPY . .
# The bundled studies write their base model beside themselves.
RUN pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --constraint constraints.txt --editable ".[$EXTRAS]" \
    && mkdir /work \
    && chmod -R a+rwX /work labs

USER 1000:1000
WORKDIR /work
ENTRYPOINT ["nightlane"]
CMD ["doctor"]
