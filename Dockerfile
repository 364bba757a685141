# The program pfgm in a small image:
#   docker build -t pfgm .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" pfgm train digits
FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --profile dist --locked -p pfgm-cli

FROM debian:bookworm-slim
COPY --from=build /source/target/dist/pfgm /usr/local/bin/pfgm
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/pfgm/
# Runs are written to the folder that is mounted here.
WORKDIR /work
USER 65534
ENTRYPOINT ["pfgm"]
