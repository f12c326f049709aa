# weir with git and terraform inside, running as an ordinary user.
#
#   docker build -t weir .                    with Terraform
#   docker build -t weir --target tofu .      with OpenTofu
#
# Configuration is by file (mounted, --config) or by WEIR_* variables; state
# that must outlive the container is under /data.

ARG TERRAFORM_IMAGE=hashicorp/terraform:1.11.4
ARG TOFU_IMAGE=ghcr.io/opentofu/opentofu:1.12.6-minimal

FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=unknown
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /weir .

FROM ${TERRAFORM_IMAGE} AS terraform-binary
FROM ${TOFU_IMAGE} AS tofu-binary

FROM alpine:3.22 AS base
# tini is process 1: it passes signals on and buries what providers leave behind.
RUN apk add --no-cache ca-certificates git git-lfs openssh-client tini tzdata \
    && adduser -D -u 10001 -h /data weir \
    && chown weir:weir /data && chmod 0700 /data
COPY --from=build /weir /usr/local/bin/weir
USER 10001:10001
WORKDIR /data
VOLUME /data
# Inside a container loopback reaches nobody.
ENV WEIR_LISTEN=0.0.0.0:4141 \
    WEIR_DATA_DIR=/data \
    WEIR_STORE=bolt:///data/weir.db \
    WEIR_ARTIFACTS=file:///data/artifacts \
    WEIR_SEAL_KEY=file:///data/seal.key
EXPOSE 4141
# An interrupted apply is the one thing to avoid: weir ends when its applies have.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=5s CMD wget -q -O /dev/null http://127.0.0.1:4141/healthz
ENTRYPOINT ["tini", "--", "weir"]
CMD ["server"]

FROM base AS tofu
COPY --from=tofu-binary /usr/local/bin/tofu /usr/local/bin/tofu
ENV WEIR_TERRAFORM_BINARY=tofu

# The last stage is what `docker build .` makes.
FROM base AS terraform
COPY --from=terraform-binary /bin/terraform /usr/local/bin/terraform
