#!/usr/bin/env bash
# Trains RECIPE on a cluster with PBS: one rank a socket, a checkpoint three minutes before the time
# limit, and on from there in a new job.
#
#   qsub -v RECIPE=recipe.yaml,RUN=runs/mine configs/jobs/pbs.sh
#   qsub -v RECIPE=recipe.yaml,RUN=runs/mine,SETTINGS=settings.txt configs/jobs/pbs.sh
#
# The file SETTINGS holds settings (key=value ...), which qsub's list could not: it cuts at commas.
# It queues itself again, as configs/jobs/pbs.sh below the folder of qsub; elsewhere it is SCRIPT
# that says where (-v ...,SCRIPT=/path/of/pbs.sh): what runs is a copy of PBS.
# Fit the lines of resources to your cluster, or give others to qsub (-l walltime=24:00:00), which
# the next job then has too; the weights do not depend on them. What the job has of time is asked of
# qstat; where that does not tell, SECONDS_TO_RUN has to.
#PBS -N convoy
#PBS -l select=2:ncpus=32:mpiprocs=2
#PBS -l walltime=04:00:00
set -eu

: "${SETTINGS:=}" "${SECONDS_TO_RUN:=}" "${SCRIPT:=$PBS_O_WORKDIR/configs/jobs/pbs.sh}"
cd "$PBS_O_WORKDIR"

# What this job has of a resource; nothing where qstat does not tell. It folds long lines.
granted() {
    { qstat -f "${PBS_JOBID:-}" 2>/dev/null || true; } |
        sed -e ':a' -e '$!N;s/\n\t//;ta' -e 'P;D' | sed -n "s/^ *Resource_List\.$1 = //p"
}

walltime=$(granted walltime)
seconds=$SECONDS_TO_RUN
if [ -z "$seconds" ]; then
    if ! [[ $walltime =~ ^[0-9]+(:[0-9]+)*$ ]]; then
        echo "pbs.sh: qstat does not tell the walltime: give SECONDS_TO_RUN, less three minutes" >&2
        exit 2
    fi
    IFS=: read -ra parts <<<"$walltime"
    for part in "${parts[@]}"; do
        seconds=$((60 * seconds + 10#$part))
    done
    seconds=$((seconds > 360 ? seconds - 180 : seconds / 2))
fi

# A node that is cut off is missed after seconds, not after the five minutes of Open MPI; and before
# the heartbeat finds it: once MPI_Abort has sent word there, TCP waits for an answer for long.
export OMPI_MCA_oob_tcp_keepalive_time=1 OMPI_MCA_oob_tcp_keepalive_intvl=1 \
    OMPI_MCA_oob_tcp_keepalive_probes=3

# Debian's Open MPI does not know PBS: without the file it would start all ranks here. If there are
# two ranks in all it would bind each to one core.
train=(mpirun --hostfile "$PBS_NODEFILE" --bind-to none
    convoy train "$RECIPE" --run "$RUN" --resume)
if [ -n "$SETTINGS" ]; then
    words=$(xargs -r printf '%s\n' <"$SETTINGS")
    while IFS= read -r word; do
        [ -z "$word" ] || train+=("$word")
    done <<<"$words"
fi

# mpirun passes the signal on to every rank: they finish the step, save, and exit with 75.
code=0
timeout --preserve-status --signal=USR1 "$seconds" "${train[@]}" || code=$?

if [ "$code" = 75 ]; then
    again=(qsub)
    for name in select walltime; do
        value=$(granted "$name")
        [ -z "$value" ] || again+=(-l "$name=$value")
    done
    given="RECIPE=$RECIPE,RUN=$RUN,SCRIPT=$SCRIPT"
    given+=${SETTINGS:+,SETTINGS=$SETTINGS}${SECONDS_TO_RUN:+,SECONDS_TO_RUN=$SECONDS_TO_RUN}
    "${again[@]}" -v "$given" "$SCRIPT"
fi
exit "$code"
