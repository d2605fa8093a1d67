#!/usr/bin/env bash
# From nothing to a trained network: installs what is missing, builds, imports Fashion-MNIST, trains
# LeNet-5 on two ranks and evaluates it. What is done already is not done again.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=.ci/packages.sh
. .ci/packages.sh

convoy=build/release/convoy
source=/usr/share/datasets/fashion-mnist
data=data/fashion-mnist
run=runs/quickstart

cat <<END
This will, in $PWD,
  1. install what is missing with the package manager (apt-get),
  2. build $convoy,
  3. import Fashion-MNIST (70,000 pictures) into $data,
  4. train LeNet-5 on it on two ranks, into $run,
  5. evaluate it on the 10,000 test pictures.
END

install_packages "${build_packages[@]}" "${data_packages[@]}"

say "Building $convoy"
build release convoy

if [ -e $data/train/dataset.yaml ] && [ -e $data/test/dataset.yaml ]; then
    say "Fashion-MNIST is already in $data"
else
    say "Importing $source into $data, 16 shards each for train and test"
    $convoy import idx $source $data --shards 16 --names configs/classes/fashion-mnist.txt --replace
fi

prepare_mpi
ranks=(mpirun -n 2)
crowd=()
if [ "$(nproc)" -lt 2 ]; then
    ranks+=(--oversubscribe)
    crowd=(--oversubscribe)
fi
say "Training: mpirun -n 2 $convoy train configs/lenet5-fashion.yaml --run $run --resume"
started=$SECONDS
"${ranks[@]}" $convoy train configs/lenet5-fashion.yaml --run $run --resume "${crowd[@]}"
say "Training took $((SECONDS - started)) s"

say "Evaluating: $convoy evaluate $run $data/test"
$convoy evaluate $run $data/test

cat <<END

The run lies in $run: recipe.yaml, log.txt, metrics.jsonl and checkpoints/.
README.md says how to go on with your own pictures.
END
