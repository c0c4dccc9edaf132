ARG FROM_IMAGE_NAME=jfrog.tecorigin.net/tecotp-docker/release/ubuntu22.04/x86_64/pytorch:3.1.0-torch_sdaa3.1.0
FROM ${FROM_IMAGE_NAME}

# Builds on the vendor's images (PyTorch lies in a conda environment, torch27_env_py310 or torch_env) and on a plain
# Python image: docker build --build-arg FROM_IMAGE_NAME=python:3.11-slim -t smoothnet .
SHELL ["/bin/bash", "-c"]
WORKDIR /workspace/contrib/Pose/SmoothNet
# The script installs requirements.txt and, as an option that may fail, the vendor's logger:
# pip install git+https://github.com/Tecorigin/tcap_dllogger.git
COPY requirements.txt run_scripts/install_in_image.sh /tmp/smoothnet/
RUN cd /tmp/smoothnet && bash install_in_image.sh && rm -r /tmp/smoothnet
COPY . .
CMD ["/bin/bash"]
