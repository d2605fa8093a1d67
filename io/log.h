/* What a run says: lines on the console (stderr), RUN/log.txt, and RUN/metrics.jsonl.
 *
 * On a terminal one progress line is redrawn in place; elsewhere plain lines at a humane rate.
 * TERM=dumb stops both redrawing and colours, NO_COLOR the colours. Control characters in what is
 * said are shown as "?", so that a name from a hostile file cannot steer the terminal; a newline
 * begins another line. Only rank 0 opens a log with a console; other ranks' lines go through the
 * trainer. Thread-safe, but for opening and closing.
 */
#ifndef IO_LOG_H
#define IO_LOG_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log;

/* `run` NULL: console only; else the folder, which must exist. `resume` appends to log.txt and
 * metrics.jsonl, which otherwise begin afresh. `quiet` keeps the console silent but for warnings.
 * Fails with STATUS_SYSTEM where a file cannot be written. Closing takes NULL too, and ends the
 * progress line. */
status log_open(struct log **log, const char *run, bool resume, bool quiet);
void log_close(struct log *log);

/* One line each: to console and log.txt (with date and time there). A log.txt that can no longer be
 * written (disk full) is given up with a warning on the console. */
void log_line(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_warning(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* To log.txt alone: what the console is told in another way. */
void log_note(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the progress line shows; negative numbers mean unknown and are left out. */
struct log_progress {
    int64_t epoch, epochs, step, steps;
    double loss, rate, pictures_per_second, seconds_left;
};
/* Redraws the line on a terminal (at most ten times a second, the items that fit its width);
 * elsewhere prints a line at most every ten seconds: "epoch 2/5  step 1,234/5,000  loss 0.4321  3
 * min 20 s left  1,234 pictures/s  rate 0.05". */
void log_progress(struct log *log, const struct log_progress *progress);
/* Ends the progress line, in its newest state, so that other output starts on a line of its own. */
void log_progress_end(struct log *log);

/* A count of something without a known rate (imports): "importing: 12,345 of 60,000", in the place
 * and at the pace of the progress line, which it ends when all is done. total = 0: unknown. */
void log_count(struct log *log, const char *what, int64_t done, int64_t total);

/* Appends one JSON object as a line to metrics.jsonl and flushes it to the system. The text is one
 * line without the newline. Fails with STATUS_SYSTEM (disk full), and leaves no half line then.
 * Does nothing for a log without a run. */
status log_metrics(struct log *log, const char *json);

/* Cuts metrics.jsonl at the first line whose "step" is above `step`: a resumed run writes them
 * again. A line that is not JSON, or a last one without its newline, is damage from a crash and cut
 * likewise. No file is no failure. */
status log_metrics_truncate(const char *run, int64_t step);

/* Whether lines can be redrawn on `descriptor` (1 or 2): a terminal that is not dumb. */
bool log_is_terminal(int descriptor);

/* The same, and NO_COLOR is not set. */
bool log_has_colour(int descriptor);

#endif
