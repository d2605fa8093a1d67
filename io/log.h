/* What a run says: lines on the console (stderr), RUN/log.txt, and RUN/metrics.jsonl.
 *
 * On a terminal one progress line is redrawn in place; elsewhere plain lines at a humane rate.
 * NO_COLOR and TERM=dumb are respected. Only rank 0 opens a log with a console; other ranks' lines
 * go through the trainer. Not thread-safe: the main thread alone logs.
 */
#ifndef IO_LOG_H
#define IO_LOG_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log;

/* `run` NULL: console only. `resume` appends to log.txt. `quiet` keeps the console silent but for
 * warnings. */
status log_open(struct log **log, const char *run, bool resume, bool quiet);
void log_close(struct log *log);

/* One line each: to console and log.txt (with the time of day there). */
void log_line(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_warning(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the progress line shows; negative numbers mean unknown and are left out. */
struct log_progress {
    int64_t epoch, epochs, step, steps;
    double loss, rate, pictures_per_second, seconds_left;
};
/* Redraws the line on a terminal (at most ten times a second); elsewhere prints a line at most
 * every ten seconds. */
void log_progress(struct log *log, const struct log_progress *progress);
/* Ends the progress line, so that other output starts on a line of its own. */
void log_progress_end(struct log *log);

/* A count of something without a known rate (imports): "importing: 12,345 of 60,000". */
void log_count(struct log *log, const char *what, int64_t done, int64_t total);

/* Appends one JSON object as a line to metrics.jsonl and flushes it to the system. The text is one
 * line without the newline. Fails with STATUS_SYSTEM (disk full). */
status log_metrics(struct log *log, const char *json);

/* Cuts metrics.jsonl at the first line whose "step" is above `step`: a resumed run writes them
 * again. A last line without its newline goes too. */
status log_metrics_truncate(const char *run, int64_t step);

/* Whether `descriptor` (1 or 2) should get colours and redrawn lines. */
bool log_is_terminal(int descriptor);

#endif
