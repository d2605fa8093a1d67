#!/usr/bin/env bash
# Trains RECIPE on a Slurm cluster by mpirun: one rank a socket, a checkpoint three minutes before
# the time limit, and on from there in the same job, queued again.
#
#   sbatch configs/jobs/slurm.sh RECIPE RUN_FOLDER [key=value ...]
#   sbatch --nodes=2-8 configs/jobs/slurm.sh ...       on as many nodes as are free
#   sbatch --array=1-3 configs/jobs/slurm.sh RECIPE runs/seed- ...         three runs, seeds 1 to 3
#   SWEEP=rates.txt sbatch --array=1-3 configs/jobs/slurm.sh RECIPE runs/rate- ...
#
# In an array, the number of a job ends the name of its run and is its seed; with SWEEP it takes its
# settings (key=value ...) from that line of the file instead.
#
# Fit nodes, tasks and cores to your cluster; the weights do not depend on them, nor on whether the
# job had other ones before it was queued again.
#SBATCH --job-name=convoy
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
set -eu

recipe=$1
run=$2
shift 2

if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    run=$run$SLURM_ARRAY_TASK_ID
    settings=("train.seed=$SLURM_ARRAY_TASK_ID")
    if [ -n "${SWEEP:-}" ]; then
        mapfile -t settings < <(sed -n "${SLURM_ARRAY_TASK_ID}p" "$SWEEP" | xargs -r printf '%s\n')
        : "${settings[0]:?"line $SLURM_ARRAY_TASK_ID of $SWEEP holds no settings"}"
    fi
    set -- "${settings[@]}" "$@"
fi

# A node that is cut off is missed after seconds, not after the five minutes of Open MPI; and before
# the heartbeat finds it: once MPI_Abort has sent word there, TCP waits for an answer for long.
export OMPI_MCA_oob_tcp_keepalive_time=1 OMPI_MCA_oob_tcp_keepalive_intvl=1 \
    OMPI_MCA_oob_tcp_keepalive_probes=3

mpirun --map-by "socket:PE=${SLURM_CPUS_PER_TASK:-1}" \
    convoy train "$recipe" --run "$run" --resume "$@" &
job=$!
# mpirun passes the signal on to every rank: they finish the step, save, and exit with 75.
trap 'kill -USR1 $job' USR1
code=0
wait "$job" || code=$?
while kill -0 "$job" 2>/dev/null; do
    code=0
    wait "$job" || code=$?
done

if [ "$code" = 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
