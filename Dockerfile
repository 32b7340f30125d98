# syntax=docker/dockerfile:1

# Builds the package from this repository and installs it as a user would: only what it needs to run.
FROM node:22-bookworm-slim AS build
WORKDIR /source
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm pack --pack-destination /package

FROM node:22-bookworm-slim
ENV NODE_ENV=production
RUN --mount=type=bind,from=build,source=/package,target=/package \
    npm install --global --omit=dev --no-audit --no-fund /package/sluice-*.tgz pg@8 \
    && npm cache clean --force \
    && mkdir /work \
    && chown node:node /work
USER node
WORKDIR /work
ENTRYPOINT ["sluice"]
CMD ["--help"]
