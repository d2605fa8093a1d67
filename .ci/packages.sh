# shellcheck shell=bash disable=SC2034
# What quickstart.sh, test.sh and .ci/run share: names of Debian's packages, and installing those
# that are missing. Sourced, never run. Nothing here needs the network when nothing is missing.

# What it takes to build and run Convoy, tests included (CMake looks for CUnit with the rest).
build_packages=(gcc libc6-dev cmake ninja-build pkg-config openmpi-bin libopenmpi-dev libopenblas-dev
    zlib1g-dev liblmdb-dev libcunit1-dev libyaml-dev libjansson-dev libjpeg-dev libpng-dev
    libxxhash-dev)
# The tests that are scripts, and the data set that everyone starts with.
test_packages=(python3)
data_packages=(dataset-fashion-mnist)
# What only the checks of .ci/run need. Without them the tests concerned say that they were skipped.
check_packages=(python3-torch python3-torchvision python3-numpy clang clang-format shellcheck
    iproute2 slurm-wlm munge libsimgrid-dev)

# say WORDS...: what is about to happen.
say() {
    printf '==> %s\n' "$*"
}

# die WORDS...: why it stops.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# A package on a system without dpkg: what of it can be looked for.
is_found() {
    case $1 in
    gcc) command -v cc || command -v gcc || command -v clang ;;
    libc6-dev) true ;; # a compiler without it finds nothing: CMake says so
    cmake | pkg-config | python3 | clang | clang-format | shellcheck) command -v "$1" ;;
    ninja-build) command -v ninja ;;
    openmpi-bin) command -v mpirun ;;
    libopenmpi-dev) command -v mpicc ;;
    libopenblas-dev) pkg-config --exists openblas ;;
    zlib1g-dev) pkg-config --exists zlib ;;
    liblmdb-dev) pkg-config --exists lmdb ;;
    libcunit1-dev) pkg-config --exists cunit ;;
    libyaml-dev) pkg-config --exists yaml-0.1 ;;
    libjansson-dev) pkg-config --exists jansson ;;
    libjpeg-dev) pkg-config --exists libjpeg ;;
    libpng-dev) pkg-config --exists libpng ;;
    libxxhash-dev) pkg-config --exists libxxhash ;;
    dataset-fashion-mnist) [ -e /usr/share/datasets/fashion-mnist ] ;;
    python3-torch) python3 -c 'import torch' ;;
    python3-torchvision) python3 -c 'import torchvision' ;;
    python3-numpy) python3 -c 'import numpy' ;;
    iproute2) command -v ip && command -v tc ;;
    slurm-wlm) command -v slurmctld && command -v slurmd && command -v sbatch ;;
    munge) command -v munged ;;
    libsimgrid-dev) command -v smpicc && command -v smpirun ;;
    *) false ;;
    esac >/dev/null 2>&1
}

# Runs a command as root.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# install_packages PACKAGE...: installs those that are missing; says so first. Stops where it
# cannot: no apt-get, no root and no sudo, or the package manager failed.
install_packages() {
    local package look=is_found missing=()
    if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
        look=is_installed
    fi
    for package in "$@"; do
        "$look" "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} = 0 ]; then
        return
    fi
    if [ "$look" = is_found ]; then
        die "missing (by the names of Debian's packages): ${missing[*]}. This system has no apt-get:" \
            "please install them and run this again."
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        die "missing: ${missing[*]}. To install them takes root or sudo:" \
            "apt-get install ${missing[*]}"
    fi
    say "Installing what is missing, with apt-get: ${missing[*]}"
    as_root apt-get -q update ||
        say "apt-get update failed (above); trying with the package lists that are there"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
        "${missing[@]}" || die "apt-get could not install: ${missing[*]} (its reason is above)"
}

# build PRESET [TARGET...]: configures on the first run, then builds what changed.
build() {
    local preset=$1 targets=()
    shift
    if [ $# -gt 0 ]; then
        targets=(--target "$@")
    fi
    if [ ! -e "build/$preset/build.ninja" ]; then
        local output
        output=$(cmake --preset "$preset" 2>&1) || {
            printf '%s\n' "$output" >&2
            die "cmake could not configure, see above; it must be 3.25 or later and this is" \
                "$(cmake --version | head -n 1)"
        }
    fi
    cmake --build --preset "$preset" "${targets[@]}" || die "the build failed (above)"
}

# Lets mpirun work where it is run as root, as in a container, where the kernel may also refuse one
# process to read another's memory.
prepare_mpi() {
    if [ "$(id -u)" = 0 ]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
}
