#!/usr/bin/env bash
# As slurm.sh, with the ranks started by Slurm itself (srun, PMIx) and not by mpirun.
#
#   sbatch configs/jobs/slurm-srun.sh RECIPE RUN_FOLDER [key=value ...]
#   sbatch --array=1-3 configs/jobs/slurm-srun.sh RECIPE runs/seed- ...    three runs, seeds 1 to 3
#   SWEEP=rates.txt sbatch --array=1-3 configs/jobs/slurm-srun.sh RECIPE runs/rate- ...
#
# In an array, the number of a job ends the name of its run and is its seed; with SWEEP it takes its
# settings (key=value ...) from that line of the file instead.
#
# It takes a Slurm with the plugin for PMIx ("srun --mpi=list" names it; Debian's has it) and an MPI
# that knows PMIx. Without, srun would start so many jobs of one rank: use slurm.sh there.
#SBATCH --job-name=convoy
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
set -eu

recipe=$1
run=$2
shift 2

if ! srun --mpi=list 2>&1 | grep -qw pmix; then
    echo "srun of this cluster cannot start MPI by PMIx (srun --mpi=list): use slurm.sh" >&2
    exit 1
fi
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    run=$run$SLURM_ARRAY_TASK_ID
    settings=("train.seed=$SLURM_ARRAY_TASK_ID")
    if [ -n "${SWEEP:-}" ]; then
        mapfile -t settings < <(sed -n "${SLURM_ARRAY_TASK_ID}p" "$SWEEP" | xargs -r printf '%s\n')
        : "${settings[0]:?"line $SLURM_ARRAY_TASK_ID of $SWEEP holds no settings"}"
    fi
    set -- "${settings[@]}" "$@"
fi

# Slurm signals every rank: they finish the step, save, and exit with 75.
code=0
srun --mpi=pmix --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
    convoy train "$recipe" --run "$run" --resume "$@" || code=$?

if [ "$code" = 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
