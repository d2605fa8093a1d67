/* What every rank did when: `--timeline FILE` writes a trace for Perfetto (ui.perfetto.dev) and
 * chrome://tracing, in the Trace Event Format.
 *
 * Each rank is a process of the trace. On its thread stand the phases of the step (input, forward,
 * backward, agreement, exchange, update, validation, checkpoint), and in forward and backward the
 * layers; buckets of the exchange are asynchronous events from their start to their end. All stands
 * on rank 0's clock: the others' were compared with it at the start and at the end, and what they
 * drifted in between is taken as even.
 *
 * Where the job ends for all, because a rank was killed or a host lost, every rank that is left
 * adds what it saw to FILE by itself (timeline_leave): clocks then are as compared at the start.
 *
 * Memory is taken beforehand, for TIMELINE_EVENTS events a rank; what comes later is left out, and
 * the log says from which step on.
 */
#ifndef TRAINER_TIMELINE_H
#define TRAINER_TIMELINE_H

#include "io/log.h"
#include "worker/exchange/transport.h"
#include "worker/net.h"

#define TIMELINE_EVENTS 500000

struct timeline;

/* For all ranks. Opens `path` on rank 0 and begins to record what transport->activity and the net
 * are doing; both are borrowed. A file of an earlier run is removed. Rank 0 alone fails with
 * STATUS_SYSTEM where the file cannot be written, any rank without memory: agree before the next
 * call. */
status timeline_open(
    struct timeline **timeline, const char *path, struct transport *transport, struct net *net);

/* For all ranks: compares the clocks; once after timeline_open. */
status timeline_begin(struct timeline *timeline);

/* For all ranks: brings everything to rank 0, which writes the file. Ranks may differ in failure.
 */
status timeline_write(struct timeline *timeline, struct log *log);

/* For a rank alone, from any thread, while others record: adds what this rank saw so far to the
 * file, which is whole after every rank that did so. Ranks take turns by a lock (flock); those that
 * see no common file system leave a file on each. Does nothing the second time, nor while
 * timeline_write is under way, whose file takes the place of this one. Fails with STATUS_SYSTEM. */
status timeline_leave(struct timeline *timeline);

/* Records no more. Takes NULL. */
void timeline_close(struct timeline *timeline);

#endif
