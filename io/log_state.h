/* The inside of a log. Private to io/ (and to its test, which shortens the waits). */
#ifndef IO_LOG_STATE_H
#define IO_LOG_STATE_H

#include "io/log.h"

#include <pthread.h>

struct log {
    pthread_mutex_t lock; /* recursive: whatever is said is said as a whole */
    bool quiet;
    bool terminal, colour; /* of the console */
    int text, metrics;     /* descriptors of log.txt and metrics.jsonl, or -1 */
    char *text_path, *metrics_path;

    /* The progress line. */
    double redraw_seconds, plain_seconds; /* least time between two, on a terminal and elsewhere */
    double shown_at;                      /* monotonic; 0: never */
    bool standing;                        /* one stands on the terminal, without its newline */
    char pending[256];                    /* newest text, not yet shown; empty: none */
};

/* Text to the console as it is. */
void log_console(const char *text, size_t size);

/* Takes a standing progress line off the terminal; it comes back with the next one. */
void log_progress_clear(struct log *log);

/* Replaces control characters, so that a name from a file cannot steer the terminal. */
void log_make_printable(char *text);

/* "12,345,678"; returns text. */
const char *log_number_text(char text[32], int64_t number);

/* "8 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"; returns text. */
const char *log_duration_text(char text[32], double seconds);

#endif
