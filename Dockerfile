# CPU image. Build: docker build -t background-matting .
# Photographs: docker run --rm -v "$PWD:/work" background-matting images \
#                  --images-src photos --images-bgr plate.jpg --output-dir mattes
# App:         docker run --rm -p 127.0.0.1:7860:7860 background-matting app --host 0.0.0.0
# Add --user "$(id -u):$(id -g)" where your user id is not 1000, so that outputs are yours.
FROM python:3.13-slim AS build
COPY . /source
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:3.13-slim
# The requirements first: they change less often than the program, so this layer stays cached.
COPY requirements.txt .ci/constraints.txt /requirements/
RUN python -m pip install --no-cache-dir --constraint /requirements/constraints.txt \
        --index-url https://download.pytorch.org/whl/cpu torch torchvision \
    && python -m pip install --no-cache-dir --constraint /requirements/constraints.txt \
        --requirement /requirements/requirements.txt
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    python -m pip install --no-cache-dir --constraint /requirements/constraints.txt \
        "$(echo /wheels/*.whl)[app]" \
    && useradd --create-home --uid 1000 matting
# A home that any user id of --user can write to.
ENV HOME=/tmp
USER 1000
WORKDIR /work
EXPOSE 7860
ENTRYPOINT ["matting"]
CMD ["--help"]
