# The injector: admission webhook, and the printer of its admission policy.
#   docker build -f deploy/docker/injector.Dockerfile -t symbolon/injector .
ARG RUST_IMAGE=rust:1.95-bookworm
FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY . .
ENV ROOT=/rootfs CARGO_INCREMENTAL=0 RUSTFLAGS="--remap-path-prefix=/src=src --remap-path-prefix=/usr/local/cargo=cargo"
RUN deploy/docker/build "$ROOT" symbolon-injector

FROM scratch
COPY --from=build /rootfs/ /
USER 65532:65532
EXPOSE 8743 8744
ENTRYPOINT ["/usr/bin/symbolon-injector"]
CMD ["webhook", "--config", "/etc/symbolon/config/injector.yaml"]
