# The sidecar that the injector puts in pods.
#   docker build -f deploy/docker/sidecar.Dockerfile -t symbolon/sidecar .
ARG RUST_IMAGE=rust:1.95-bookworm
FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY . .
ENV ROOT=/rootfs CARGO_INCREMENTAL=0 RUSTFLAGS="--remap-path-prefix=/src=src --remap-path-prefix=/usr/local/cargo=cargo"
RUN deploy/docker/build "$ROOT" symbolon-sidecar

FROM scratch
COPY --from=build /rootfs/ /
USER 65532:65532
EXPOSE 8719
ENTRYPOINT ["/usr/bin/symbolon-sidecar"]
CMD ["run", "--config", "/run/symbolon/identity/sidecar.yaml"]
