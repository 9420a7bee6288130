# The application's image: a WSGI project, the servers that can run it, and supervisord as process 1.
#
#   docker build .                                              the sample project
#   docker build --build-arg PROJECT_DIR=my_project .           a project in a folder of this checkout
#   docker build --build-context project=../my_project .        a project anywhere (needs engine 23 or later)
#
# There is no "syntax" line: it would pull an image for every build.
ARG BASE_IMAGE=debian:trixie-slim
# Decides which stage the assets come from.
ARG NODE_BUILD=""

# ---- project: only the user's files. `--build-context project=...` replaces this stage.
FROM scratch AS project
ARG PROJECT_DIR=sample_project
COPY ${PROJECT_DIR} /

# ---- base: shared by all later stages.
FROM ${BASE_IMAGE} AS base
# Debian packages that the project needs at run time: --build-arg RUNTIME_PACKAGES="libpq5 gettext"
ARG RUNTIME_PACKAGES=""
# Debian's Python, unless the base image has one. The list is unquoted, so that it splits into package names.
# hadolint ignore=DL3008,SC2046,SC2086
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        ca-certificates tzdata $(command -v python3 >/dev/null || echo python3) ${RUNTIME_PACKAGES} \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
# Nothing in the image runs with more rights than its user, who has a name (getpass and database drivers ask for one) and
# a home that can be written to.
RUN find / -xdev -perm /6000 -exec chmod a-s {} + \
    && { getent passwd 10001 \
        || { echo 'ropewalk:x:10001:' >>/etc/group && echo 'ropewalk:x:10001:10001::/tmp:/usr/sbin/nologin' >>/etc/passwd; }; }
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    # a heap for each thread would keep twice the memory under load (docs/operations.md, "Memory of a worker")
    MALLOC_ARENA_MAX=2 \
    DATA_DIR=/data \
    MEDIA_ROOT=/srv/media \
    STATIC_ROOT=/srv/static

# ---- detector: what looks at a project's files, compiled, since the next stage runs it for each change of the code.
FROM base AS detector
COPY deploy/app /build/deploy/app
COPY deploy/kit /build/deploy/kit
RUN python3 -m compileall -q /build/deploy

# ---- look: the project's files without those that do not belong in an image (deploy/app/project_files.py), and what they
# say about it, found by the detector that `make run` and `make adopt` use. One step: each starts a container.
FROM detector AS look
# Files that the rules would leave out, and the image needs: --build-arg IMAGE_INCLUDE="data/*.sqlite3"
ARG IMAGE_INCLUDE=""
# More files that the image does not need, such as uploads made during development: --build-arg IMAGE_EXCLUDE="media"
ARG IMAGE_EXCLUDE=""
# What the detector would guess otherwise.
ARG WSGI_APP="" DJANGO_SETTINGS_MODULE="" REQUIREMENTS=""
# /manifests: the files that list the dependencies, on their own, so that a change of the code leaves the layer of the
# dependencies as it is.
RUN --mount=type=bind,from=project,target=/project \
    python3 /build/deploy/app/copy_project.py /project /app \
    && install -d /manifests && python3 -I /build/deploy/kit look --json /app >/looked.json \
    && python3 -I /build/deploy/kit install --project /app --copy-to /manifests

# ---- built: the assets that a build adds to the project's files, in /built. Without NODE_BUILD, none; a value selects the
# other stage of the two.
FROM base AS built
RUN install -d /built

# ---- node-manifests: what npm installs from, if NODE_BUILD asks for it; otherwise nothing.
FROM look AS node-manifests
ARG NODE_BUILD=""
RUN install -d /node/app && touch /node/packages \
    && python3 -I /build/deploy/kit assets --step manifests --project /app --copy-to /node

# ---- built-by-node: builds the project's assets. Only the files that are new or changed then leave this stage, in /built:
# no package does. With NODE_BUILD=off nothing is installed.
FROM base AS built-by-node
COPY --from=node-manifests /node/packages /packages
# hadolint ignore=DL3008,SC2046
RUN [ ! -s /packages ] || { apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(cat /packages) \
    && apt-get clean && rm -rf /var/lib/apt/lists/*; }
COPY --from=detector /build /build
COPY --from=node-manifests /node/app /app
ARG NODE_BUILD=""
RUN python3 -I /build/deploy/kit assets --step install --project /app
COPY --from=look /app /app
RUN install -d /built && python3 -I /build/deploy/kit assets --step build --project /app --copy-to /built

# hadolint ignore=DL3006
FROM built${NODE_BUILD:+-by-node} AS assets

# ---- tools: what installs and prepares a project, and the backends. Nothing here depends on the project, so that all
# projects of a machine share these layers, and the next stage.
FROM base AS tools
# Debian packages that are needed to build the project's requirements: --build-arg BUILD_PACKAGES="gcc python3-dev"
ARG BUILD_PACKAGES=""
# hadolint ignore=DL3008,SC2046,SC2086
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        brotli $(python3 -Ic 'import ensurepip' 2>/dev/null || echo python3-venv) ${BUILD_PACKAGES} \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
# compiled once: the root is read-only at run time, so that each start would compile everything that it imports
ENV UV_NO_CACHE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
ENV PIP_NO_INPUT=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/venv
# Every package is checked against its hash. The build backend of the server's wheel is not part of the final image.
COPY deploy/requirements.txt /build/kit.txt
RUN /opt/build/bin/pip wheel --quiet --require-hashes --no-deps --wheel-dir /wheels --requirement /build/kit.txt \
    && /opt/build/bin/pip install --quiet --no-index --find-links /wheels flit_core uv
# Each backend in a folder of its own, for its process alone: the project may list another version of it.
COPY deploy/backends /build/backends
RUN for locked in /build/backends/*/requirements.txt; do \
        folder=${locked%/*} \
        && /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --require-hashes --no-deps \
            --requirement "$locked" --target "/opt/backends/${folder##*/}" \
        || exit; \
    done
# What reads a crontab, likewise (app/cron.py).
COPY deploy/cron /build/cron
RUN /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --require-hashes --no-deps \
        --requirement /build/cron/requirements.txt --target /opt/cron

# ---- compiler: what compiles the server, and is no part of the image. --build-arg COMPILED=0 does without. With `auto` so
# does a free-threaded Python (docs/free-threading.md), and a machine that cannot install or run a compiler gets the pure
# server, too; with 1 it gets an error.
FROM tools AS compiler
ARG COMPILED=auto
COPY server/compiled/requirements.txt /build/compiler.txt
# hadolint ignore=DL3008,SC2046
RUN case $COMPILED in auto | 0 | 1) ;; *) echo "COMPILED=$COMPILED: must be auto, 1 or 0" >&2; exit 1 ;; esac; \
    is_free="import sys, sysconfig; sys.exit(not sysconfig.get_config_var('Py_GIL_DISABLED'))"; \
    if [ "$COMPILED" = 0 ] || { [ "$COMPILED" = auto ] && python3 -Ic "$is_free"; }; then exit 0; fi; \
    { apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev \
        $(python3 -Ic 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null || echo python3-dev) \
    && apt-get clean && rm -rf /var/lib/apt/lists/* \
    && /opt/build/bin/pip install --quiet --require-hashes --requirement /build/compiler.txt \
    && touch /build/compiled; } || [ "$COMPILED" = auto ]

# ---- server: its wheel, and supervisor's. A stage of its own, because it changes most often during development.
FROM compiler AS server
ARG COMPILED=auto
COPY server /build/server
RUN if [ -e /build/compiled ]; then \
        /opt/build/bin/python /build/server/compiled/build_wheel.py --compiled /wheels || [ "$COMPILED" = auto ] || exit 1; \
    fi; \
    ls /wheels/ropewalk-*.whl 2>/dev/null || { \
        [ "$COMPILED" = 0 ] || echo "The server is not compiled: its pure build is installed."; \
        /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels /build/server; }

# ---- python-build: installs all Python packages into /opt/venv, the only part of this stage that ships.
FROM tools AS python-build
COPY --from=detector /build /build
COPY --from=look /manifests /build/project
ARG REQUIREMENTS=""
# Packages that are installed in their newest version instead of the one that is listed: --build-arg UNPIN="markdown cffi"
ARG UNPIN=""
# Another index, as pip and uv name it. Its password is in the secret, which is in no layer.
ARG PIP_INDEX_URL="" PIP_EXTRA_INDEX_URL=""
RUN --mount=type=secret,id=netrc \
    NETRC=/run/secrets/netrc python3 -I /build/deploy/kit install --only dependencies --project /build/project \
        --python /opt/venv/bin/python --uv /opt/build/bin/uv \
    # of uv, and for everybody to write
    && rm -f /opt/venv/.lock
# What the project may list of the kit's own packages is replaced: an old supervisor needs a module that Python has no more.
RUN --mount=type=bind,from=server,source=/wheels,target=/wheels \
    /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --no-index --find-links /wheels --no-deps \
        --force-reinstall ropewalk supervisor \
    # isolated: a module of the project's cannot take the place of supervisor's
    && sed -i '1s/$/ -I/' /opt/venv/bin/supervisorctl

# ---- runtime: the packages, the kit's scripts, and the folders that the container may write to.
FROM base AS runtime
RUN install -d -o 10001 -g 10001 /data /srv/media /srv/assets && install -d -o 10001 -g 10001 -m 0750 /srv/services \
    && install -d /srv/static
COPY deploy/app /kit/bin
COPY deploy/backends /kit/backends
# COPY keeps the modes of the checkout, which its umask may have made root's alone.
RUN chmod -R u=rwX,go=rX /kit
COPY --from=tools /opt/backends /opt/backends
COPY --from=tools /opt/cron /opt/cron
COPY --from=python-build /opt/venv /opt/venv
# The first place in which supervisorctl looks: a file of the project's with this name does no harm.
COPY deploy/supervisor/supervisord.conf /opt/venv/etc/supervisord.conf
RUN site=$(/opt/venv/bin/python -Ic 'import sysconfig; print(sysconfig.get_path("purelib"))') \
    && ln -s /kit/bin/kit_environment.py "$site/" && echo 'import kit_environment' >"$site/kit_environment.pth" \
    && chmod -R u=rwX,go=rX /opt/venv/etc

# ---- dev: for `make dev`, which mounts the project at /app: the packages that it needs, and what catches its mails.
FROM tools AS dev-tools
COPY deploy/dev /build/dev
RUN /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --require-hashes --no-deps \
        --requirement /build/dev/requirements.txt --target /opt/dev

FROM runtime AS dev
COPY --from=dev-tools /opt/dev /opt/dev
COPY --from=look /looked.json /looked.json
RUN site=$(/opt/venv/bin/python -Ic 'import sysconfig; print(sysconfig.get_path("purelib"))') \
    && ln -s /kit/bin/dev_settings.py /kit/bin/dev_application.py /kit/bin/debug_page.py "$site/" \
    && /opt/venv/bin/python /kit/bin/prepare.py --environment /looked.json /app /kit
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["/kit/bin/entrypoint"]
CMD ["dev", "server"]

# ---- prepared: the project installed where it is a package, asked about itself, its static files collected and
# compressed, links to where it writes, and its code compiled.
FROM python-build AS prepared
COPY --from=runtime /kit /kit
COPY --from=look /app /app
COPY --from=assets /built /app
COPY --from=look /looked.json /looked.json
# More files and folders of the project that it writes to: --build-arg WRITABLE_PATHS="cache data/list.txt"
ARG WRITABLE_PATHS=""
# Variables that the settings insist on, for this stage alone: --build-arg BUILD_ENV="REGION=eu LEVELS='1 2'"
ARG BUILD_ENV=""
ARG UNPIN=""
ARG PIP_INDEX_URL="" PIP_EXTRA_INDEX_URL=""
# Only what this adds to the virtual environment is in a layer of its own. The secret is not there for the next step, which
# runs the project's code.
RUN --mount=type=secret,id=netrc \
    touch /marker && NETRC=/run/secrets/netrc python3 -I /build/deploy/kit install --only project --project /app \
        --python /opt/venv/bin/python --uv /opt/build/bin/uv \
    && install -d /additions \
    && find /opt/venv -cnewer /marker ! -type d ! -name .lock -exec cp -a --parents -t /additions {} +
RUN install -d /srv/static \
    && /opt/venv/bin/python /kit/bin/prepare.py /looked.json /app /srv/static /prepared && /kit/bin/compress /srv/static \
    && { /opt/venv/bin/python -m compileall -q /app || true; }

# ---- app: the image that ships.
FROM runtime AS app
ARG BASE_IMAGE
LABEL org.opencontainers.image.title="Web application on Ropewalk" \
    org.opencontainers.image.description="A WSGI project with the servers that can run it" \
    org.opencontainers.image.base.name="${BASE_IMAGE}"
# `make up` replaces no image of another project's.
ARG PROJECT_ID=""
LABEL ropewalk.project="${PROJECT_ID}"
WORKDIR /app
COPY --from=prepared /additions /
COPY --from=prepared /app /app
COPY --from=prepared /srv/static /srv/static
COPY --from=prepared /prepared /kit
# Numeric, so that an orchestrator can verify that it is not root.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["/kit/bin/entrypoint"]
