# The application's image: a WSGI project, the servers that can run it, and supervisord as process 1.
#
#   docker build .                                              the sample project
#   docker build --build-arg PROJECT_DIR=my_project .           a project in a folder of this checkout
#   docker build --build-context project=../my_project .        a project anywhere (needs engine 23 or later)
#
# There is no "syntax" line: it would pull an image for every build.
ARG BASE_IMAGE=debian:trixie-slim

# ---- project: only the user's files. `--build-context project=...` replaces this stage.
FROM scratch AS project
ARG PROJECT_DIR=sample_project
COPY ${PROJECT_DIR} /

# ---- base: shared by all later stages.
FROM ${BASE_IMAGE} AS base
# Debian packages that the project needs at run time: --build-arg RUNTIME_PACKAGES="libpq5 gettext"
ARG RUNTIME_PACKAGES=""
# The list is unquoted, so that it splits into package names.
# hadolint ignore=DL3008,SC2086
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        ca-certificates python3 tzdata ${RUNTIME_PACKAGES} \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
# Nothing in the image runs with more rights than its user, who has a name (getpass and database drivers ask for one) and
# a home that can be written to.
RUN find / -xdev -perm /6000 -exec chmod a-s {} + \
    && { getent passwd 10001 \
        || { echo 'ropewalk:x:10001:' >>/etc/group && echo 'ropewalk:x:10001:10001::/tmp:/usr/sbin/nologin' >>/etc/passwd; }; }
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app \
    DATA_DIR=/data \
    MEDIA_ROOT=/srv/media \
    STATIC_ROOT=/srv/static

# ---- source: the project's files without those that do not belong in an image (deploy/app/project_files.py).
FROM base AS source
# Files that the rules would leave out, and the image needs: --build-arg IMAGE_INCLUDE="data/*.sqlite3"
ARG IMAGE_INCLUDE=""
COPY deploy/app/copy_project.py deploy/app/dockerignore.py deploy/app/project_files.py /kit/
RUN --mount=type=bind,from=project,target=/project python3 /kit/copy_project.py /project /app

# ---- python-build: installs all Python packages into /opt/venv, the only part of this stage that ships.
FROM base AS python-build
# Debian packages that are needed to build the project's requirements: --build-arg BUILD_PACKAGES="gcc python3-dev"
ARG BUILD_PACKAGES=""
# hadolint ignore=DL3008,SC2086
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        python3-venv ${BUILD_PACKAGES} \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_INPUT=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/venv
# Every package is checked against its hash. The build backend of the server's wheel is not part of the final image.
COPY deploy/requirements.txt /build/kit.txt
RUN /opt/build/bin/pip wheel --quiet --require-hashes --no-deps --wheel-dir /wheels --requirement /build/kit.txt \
    && /opt/build/bin/pip install --quiet --no-index --find-links /wheels flit_core \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --no-index --find-links /wheels supervisor \
    # isolated: a module of the project's cannot take the place of supervisor's
    && sed -i '1s/$/ -I/' /opt/venv/bin/supervisorctl
COPY deploy/backends /build/backends
RUN for locked in /build/backends/*/requirements.txt; do \
        /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --require-hashes --no-deps --requirement "$locked" \
        || exit; \
    done
# The pattern allows a project without requirements.txt. If the file has a hash, as a locked one does, pip requires one
# for every package.
COPY --from=source /app/requirements.tx[t] /build/project/
RUN if [ -f /build/project/requirements.txt ]; then \
        /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --requirement /build/project/requirements.txt; \
    fi
# Last, because it changes most often during development, and the layers above stay cached.
COPY server /build/server
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels /build/server \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --no-index --find-links /wheels ropewalk \
    && /opt/build/bin/pip --python /opt/venv/bin/python check

# ---- runtime: the packages, the kit's scripts, and the folders that the container may write to.
FROM base AS runtime
RUN install -d -o 10001 -g 10001 /data /srv/media /srv/assets && install -d /srv/static
COPY --from=python-build /opt/venv /opt/venv
COPY deploy/app /kit/bin
COPY deploy/backends /kit/backends
# The first place in which supervisorctl looks: a file of the project's with this name does no harm.
COPY deploy/supervisor/supervisord.conf /opt/venv/etc/supervisord.conf
# COPY keeps the modes of the checkout, which its umask may have made root's alone.
RUN chmod -R u=rwX,go=rX /kit /opt/venv/etc

# ---- static: the project's static files, collected and compressed.
FROM base AS static
# hadolint ignore=DL3008
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends brotli \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY --from=runtime /opt/venv /opt/venv
COPY deploy/app/collect deploy/app/collectstatic.py /kit/bin/
COPY --from=source /app /app
WORKDIR /app
RUN install -d /srv/static && /kit/bin/collect

# ---- app: the image that ships.
FROM runtime AS app
ARG BASE_IMAGE
LABEL org.opencontainers.image.title="Web application on Ropewalk" \
    org.opencontainers.image.description="A WSGI project with the servers that can run it" \
    org.opencontainers.image.base.name="${BASE_IMAGE}"
COPY --from=source /app /app
COPY --from=static /srv/static /srv/static
RUN python -m compileall -q /app || true
WORKDIR /app
# Numeric, so that an orchestrator can verify that it is not root.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["/kit/bin/entrypoint"]
CMD ["supervisor"]
