# The broker, with the operator's tool beside it: kubectl exec … -- symbolon explain ID
#   docker build -f deploy/docker/broker.Dockerfile -t symbolon/broker .
ARG RUST_IMAGE=rust:1.95-bookworm
FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY . .
ENV ROOT=/rootfs CARGO_INCREMENTAL=0 RUSTFLAGS="--remap-path-prefix=/src=src --remap-path-prefix=/usr/local/cargo=cargo"
RUN deploy/docker/build "$ROOT" symbolon-broker symbolon

FROM scratch
COPY --from=build /rootfs/ /
ENV SQLITE_TMPDIR=/var/lib/symbolon
USER 65532:65532
EXPOSE 8700 8701
ENTRYPOINT ["/usr/bin/symbolon-broker"]
CMD ["serve", "--config", "/etc/symbolon/config/broker.yaml"]
