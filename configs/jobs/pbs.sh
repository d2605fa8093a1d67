#!/usr/bin/env bash
# Trains RECIPE on a cluster with PBS: one rank a socket, a checkpoint three minutes before the time
# limit, and on from there in a new job.
#
#   qsub -v RECIPE=recipe.yaml,RUN=runs/mine configs/jobs/pbs.sh
#
# It queues itself again as configs/jobs/pbs.sh below the folder of qsub; elsewhere it is SCRIPT that says
# where (-v ...,SCRIPT=/path/of/pbs.sh): what runs is a copy of PBS.
# Fit the line of resources to your cluster; the weights do not depend on it. Keep SECONDS_TO_RUN
# three minutes below the walltime.
#PBS -N convoy
#PBS -l select=2:ncpus=32:mpiprocs=2
#PBS -l walltime=04:00:00
set -eu

: "${SECONDS_TO_RUN:=14220}" "${SCRIPT:=$PBS_O_WORKDIR/configs/jobs/pbs.sh}"
cd "$PBS_O_WORKDIR"

# A node that is cut off is missed after seconds, not after the five minutes of Open MPI; and before
# the heartbeat finds it: once MPI_Abort has sent word there, TCP waits for an answer for long.
export OMPI_MCA_oob_tcp_keepalive_time=1 OMPI_MCA_oob_tcp_keepalive_intvl=1 \
    OMPI_MCA_oob_tcp_keepalive_probes=3

# Debian's Open MPI does not know PBS: without the file it would start all ranks here. mpirun passes
# the signal on to every rank: they finish the step, save, and exit with 75.
code=0
timeout --preserve-status --signal=USR1 "$SECONDS_TO_RUN" \
    mpirun --hostfile "$PBS_NODEFILE" convoy train "$RECIPE" --run "$RUN" --resume || code=$?

if [ "$code" = 75 ]; then
    qsub -v "RECIPE=$RECIPE,RUN=$RUN,SECONDS_TO_RUN=$SECONDS_TO_RUN,SCRIPT=$SCRIPT" "$SCRIPT"
fi
exit "$code"
