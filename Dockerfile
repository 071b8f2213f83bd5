# One image for `surehook ingest`, `surehook worker` and `surehook dashboard`: docker-compose.yml chooses the command.

# By digest, which a moved tag does not change; docs/security.md says how to renew it.
FROM python:3.11-slim@sha256:e41613d42d4891e4930f79523f93f81bbc7632584ec65e36ab055f41a800b41e AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

# Without pip, because production needs no installer; the base image's pip installs the packages.
RUN python -m venv --without-pip /opt/surehook

WORKDIR /src

# Before the sources, so that a change of the sources does not reinstall the dependencies.
COPY requirements.lock ./
RUN pip --python /opt/surehook/bin/python install --only-binary :all: --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY ingest ingest
COPY workers workers
COPY shared shared
COPY surehook surehook
RUN pip --python /opt/surehook/bin/python install --no-deps .


FROM python:3.11-slim@sha256:e41613d42d4891e4930f79523f93f81bbc7632584ec65e36ab055f41a800b41e

# The number is fixed because volumes and `user:` elsewhere refer to it. A named volume that is mounted at
# /data for the first time takes over its owner from here.
RUN groupadd --gid 10001 surehook \
    && useradd --uid 10001 --gid surehook --no-create-home --home-dir /app --shell /usr/sbin/nologin surehook \
    && install --directory --owner=surehook --group=surehook /data

COPY --from=build /opt/surehook /opt/surehook

# In a container loopback is only this container. The dashboard stays on loopback until
# an operator sets its address and a login.
ENV PATH=/opt/surehook/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SUREHOOK_BIND=0.0.0.0:8000 \
    SUREHOOK_METRICS_BIND=0.0.0.0:9464 \
    SUREHOOK_WORKER_METRICS_BIND=0.0.0.0:9465 \
    SUREHOOK_LOG_FORMAT=json

# The current folder is importable: mount the package with your handlers here.
WORKDIR /app
COPY examples examples
USER 10001:10001
EXPOSE 8000 9181 9464 9465
STOPSIGNAL SIGTERM
ENTRYPOINT ["surehook"]
