#!/bin/bash
# Builds the Dockerfile with buildah, without a Docker engine and a registry, and works in what comes out: on a plain
# Python image, and on one where PyTorch lies in a conda environment called torch_env, as in the vendor's images.
#
#     [BASES="plain torch_env"] bash tests/slow/docker.sh [FOLDER]
#     (some 8 GB there, removed at the end; a temporary one if left out)
#
# The base images are made on the spot: Debian's Python by debootstrap, wheels by pip. `conda` in the second one is a
# stand-in with the two commands that the image's installation calls (conda env list, source activate). Needs root,
# buildah, debootstrap, and whatever debootstrap and pip fetch from. Exit status 77: it cannot be done here.
set -euo pipefail
cd "$(dirname "$0")/../.."
for tool in buildah debootstrap python3; do
    command -v "$tool" > /dev/null || { echo "skipped: there is no $tool"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "skipped: only root may"; exit 77; }

torch=${TORCH:-torch==2.13.0}
bases=${BASES:-plain torch_env}
work=$(mktemp -d "${1:-${TMPDIR:-/tmp}}/smoothnet_image.XXXXXX")
storage=(--root "$work/storage" --runroot "$work/run" --storage-driver vfs)
buildah() { command buildah "${storage[@]}" "$@"; }
clean() {
    buildah rm --all > /dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean EXIT
say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

say "base image: Debian's Python, and wheels to install from"
debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates bookworm "$work/root" > "$work/debootstrap.log" ||
    { tail -5 "$work/debootstrap.log"; echo "skipped: debootstrap fails here"; exit 77; }
python3 -m pip download --quiet --dest "$work/wheels" --only-binary=:all: --python-version 3.11 "$torch" -r requirements.txt ||
    { echo "skipped: pip cannot fetch the wheels"; exit 77; }
ln -s python3 "$work/root/usr/bin/python"
rm -f "$work"/root/usr/lib/python3*/EXTERNALLY-MANAGED # as in the official Python images
printf '[global]\nno-index = true\nfind-links = /wheels\nroot-user-action = ignore\n' > "$work/root/etc/pip.conf"
mv "$work/wheels" "$work/root/wheels"

commit_base() { # the tree in $work/root as an image of that name
    local container
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$work/root" / > /dev/null
    buildah commit --quiet --rm "$container" "$1" > /dev/null
}
inside() { # a command line, run by the shell that docker exec would give
    local status=0
    buildah run --isolation chroot "$container" -- /bin/bash -ic "$1" > "$work/said" 2>&1 || status=$?
    grep -v 'no job control\|cannot set terminal' "$work/said" | tail -12 || true
    return $status
}

build_and_work() { # base image, what is said of PyTorch's place
    say "build on $1"
    buildah bud --isolation chroot --network host --build-arg "FROM_IMAGE_NAME=localhost/$1" -t "smoothnet_$1" . \
        > "$work/build.log" 2>&1 || { tail -40 "$work/build.log"; return 1; }
    grep "could not be installed\|Successfully installed" "$work/build.log" | cut -c1-200
    container=$(buildah from "localhost/smoothnet_$1")
    say "in the container of $1"
    inside 'pwd; command -v python; python -c "import torch; print(torch.__version__, torch.__file__)"'
    inside "python -c \"import torch; assert '$2' in torch.__file__, torch.__file__\""
    inside 'python data/make_demo.py --output data/poses --train 4 --test 2 --frames 100'
    local names="--device cpu --dataset_name demo --estimator synthetic --body_representation 3D"
    inside "python run_scripts/run_smoothnet.py --cfg configs/h36m_fcn_3D.yaml $names --epoch 2 --bs 64 --logdir results/image --autocast \
        && test -s results/image/epoch_2.pth.tar"
    inside "python run_scripts/run_smoothnet.py --cfg configs/h36m_fcn_3D.yaml $names --checkpoint results/image/epoch_2.pth.tar --eval --logdir results/eval \
        && grep smoothnet_mpjpe results/eval/metrics.json"
    inside 'python smooth_smoothnet.py data/samples/sports2d_blazepose.npz -o smoothed.npz && test -s smoothed.npz'
    buildah rm "$container" > /dev/null
    buildah rmi "smoothnet_$1" > /dev/null
    say "ok: $1"
}

if [[ $bases = *plain* ]]; then
    commit_base plain
    build_and_work plain dist-packages
fi
[[ $bases = *torch_env* ]] || exit 0

say "base image with a conda environment called torch_env"
mkdir -p "$work/root/opt/conda/bin"
cat > "$work/root/opt/conda/bin/conda" << 'CONDA'
#!/bin/bash
[ "$*" = "env list" ] || { echo "this stand-in for conda knows env list only: $*" >&2; exit 1; }
printf '# conda environments:\n#\nbase                 * /opt/conda\ntorch_env              /opt/conda/envs/torch_env\n\n'
CONDA
cat > "$work/root/opt/conda/bin/activate" << 'ACTIVATE'
export CONDA_DEFAULT_ENV=$1
export CONDA_PREFIX=/opt/conda/envs/$1 PATH=/opt/conda/envs/$1/bin:$PATH
PS1="($1) $CONDA_PROMPT_MODIFIER$PS1" # read unset, as conda's own scripts do
ACTIVATE
chmod +x "$work/root/opt/conda/bin/conda"
printf 'export PATH=/opt/conda/bin:$PATH\n' > "$work/root/root/.bashrc"
# Without this machine's settings for pip, which are none of the image's.
clean_env=(env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root)
"${clean_env[@]}" chroot "$work/root" python -m venv /opt/conda/envs/torch_env
"${clean_env[@]}" chroot "$work/root" /opt/conda/envs/torch_env/bin/pip install --quiet "$torch"
container=$(buildah from scratch)
buildah add --quiet "$container" "$work/root" / > /dev/null
buildah config --env PATH=/opt/conda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
buildah commit --quiet --rm "$container" torch_env > /dev/null
build_and_work torch_env /opt/conda/envs/torch_env

say "built and used: $bases"
