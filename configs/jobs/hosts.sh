#!/usr/bin/env bash
# Trains RECIPE on the hosts of a file (hosts.txt is an example), reached by ssh without a password.
#
#   configs/jobs/hosts.sh HOSTS RECIPE RUN_FOLDER [key=value ...]
#
# The program, the recipe and the data set must have the same paths on all of them. It goes on where
# the run stopped: where a host is lost, take it from the file and type the same again. Sent
# SIGUSR1, it saves and stops.
set -eu

hosts=$1
recipe=$2
run=$3
shift 3

# A host that is cut off is missed after seconds, not after the five minutes of Open MPI; and before
# the heartbeat finds it: once MPI_Abort has sent word there, TCP waits for an answer for long.
export OMPI_MCA_oob_tcp_keepalive_time=1 OMPI_MCA_oob_tcp_keepalive_intvl=1 \
    OMPI_MCA_oob_tcp_keepalive_probes=3

exec mpirun --hostfile "$hosts" --bind-to none "$(command -v convoy)" \
    train "$recipe" --run "$run" --resume "$@"
