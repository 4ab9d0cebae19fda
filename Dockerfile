# One image for every process; compose.yaml says which. Packages come from requirements.lock, each checked by its hash.
FROM python:3.11.14-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
RUN python -m venv /opt/venv
COPY requirements.lock ./
RUN /opt/venv/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md wsgi.py ./
COPY portal portal
COPY workers workers
RUN /opt/venv/bin/pip install --no-deps --no-build-isolation --no-index -e . \
 && /opt/venv/bin/python -m compileall -q portal workers

FROM python:3.11.14-slim-trixie
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin krug \
 && install -d -o krug -g krug /var/lib/krug /var/lib/krug/files
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
COPY migrations /app/migrations
COPY static /app/static
COPY templates /app/templates
COPY translations /app/translations
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    VAR_DIR=/var/lib/krug PROMETHEUS_MULTIPROC_DIR=/tmp/metrics
WORKDIR /app
USER krug
VOLUME /var/lib/krug
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["portal", "web"]
