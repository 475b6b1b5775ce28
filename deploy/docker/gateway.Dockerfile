# The gateway verifier, with the operator's tool beside it: kubectl exec … -- symbolon explain ID
#   docker build -f deploy/docker/gateway.Dockerfile -t symbolon/gateway .
ARG RUST_IMAGE=rust:1.95-bookworm
FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY . .
ENV ROOT=/rootfs CARGO_INCREMENTAL=0 RUSTFLAGS="--remap-path-prefix=/src=src --remap-path-prefix=/usr/local/cargo=cargo"
RUN deploy/docker/build "$ROOT" symbolon-gateway symbolon

FROM scratch
COPY --from=build /rootfs/ /
USER 65532:65532
EXPOSE 8720 8721
ENTRYPOINT ["/usr/bin/symbolon-gateway"]
CMD ["serve", "--config", "/etc/symbolon/config/gateway.yaml"]
