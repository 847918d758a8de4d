# The service with its own environment; models and data live on the volume /data.
FROM python:3.11-slim AS build
WORKDIR /app
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir "$(grep '^torch==' constraints.txt)"
COPY analysis analysis
COPY service service
ARG EXTRAS=postgres
RUN /venv/bin/pip install --no-cache-dir -c constraints.txt ".[$EXTRAS]"

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 polyseme && install -d -o polyseme /data
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH POLYSEME_HOME=/data PYTHONUNBUFFERED=1
USER polyseme
WORKDIR /home/polyseme
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=30s --start-period=15m --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=25)"]
# The first start pulls and verifies the models; a later one finds them on the volume. Give POLYSEME_API_KEYS.
CMD ["sh", "-c", "polyseme models pull mpnet minilm smollm2 && exec polyseme serve --host 0.0.0.0"]
