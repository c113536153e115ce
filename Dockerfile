# equisparse with the versions that CI tests, as a user without privileges.
#
#   docker build --tag equisparse .
#   docker run --rm --user "$(id -u)" --env HOME=/data --volume "$PWD":/data equisparse finetune frames.extxyz --out run
#
# Add --gpus all to use GPUs. For MACE:
#
#   docker build --tag equisparse-mace --build-arg EXTRA=mace --build-arg CONSTRAINTS=constraints-mace.txt .
FROM python:3.11.14-slim-bookworm

ARG EXTRA=sevennet
ARG CONSTRAINTS=constraints.txt

# The compiler for the convolutions of long trainings on a CPU.
RUN apt-get update \
    && apt-get install --no-install-recommends --yes g++=4:12.2.0-3 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt constraints-mace.txt ./
COPY src ./src

# The package and its dependencies, in the pinned versions.
RUN python -m pip install --no-cache-dir --constraint "${CONSTRAINTS}" ".[${EXTRA}]"

# The user, for whom the folder of the data is writable.
RUN useradd --create-home --uid 1000 equisparse && install --directory --owner equisparse /data

USER 1000
WORKDIR /data
ENTRYPOINT ["equisparse"]
CMD ["--help"]
