# syntax=docker/dockerfile:1
# The service's image: the compiled code, its production dependencies, and nothing that is only for development (no compiler, no
# test tools, no embedded database). Build with --build-arg NODE_IMAGE=<image>@sha256:<digest> to pin the base
# (deploy/pin-images.sh asks the registry for it).
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No install scripts: bcrypt and argon2 bring their prebuilt binaries, and nothing else here needs one.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY scripts/bundle.mjs ./scripts/
COPY src ./src
# The administration page uses it.
COPY packages/client/src ./packages/client/src
RUN npm run build

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Not --omit=optional: argon2's binary for this platform is an optional dependency, as are the bundler and the browser files that it has copied into dist/, which go.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && rm -rf node_modules/rolldown node_modules/@rolldown node_modules/.bin/rolldown node_modules/uplot node_modules/swagger-ui-dist node_modules/@scarf

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json ./
# The texts of mails, also to copy from for texts of one's own (MAIL_TEMPLATES_DIR).
COPY templates ./templates
# The image's user "node", by number so that Kubernetes can tell that it is not root; all of /app stays root's and is only read. Run it with a read-only root and a tmpfs at /tmp.
USER 1000:1000
EXPOSE 3000 9464
STOPSIGNAL SIGTERM
# Liveness, not readiness: a database that is away must not get the containers killed.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/livez`, { signal: AbortSignal.timeout(2500) }).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Exec form: signals reach node itself, which is process 1 here and reaps the workers that it forks.
CMD ["node", "dist/main.js"]
