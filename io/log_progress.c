#include "io/log_state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_LEFT (1e4 * 86400) /* seconds; a longer wait is no estimate */

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* A line that wraps cannot be redrawn. The texts are ASCII. */
static size_t columns(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79u;
}

/* How much of the text fits: whole items (two spaces lie between them), or what there is room for.
 */
static size_t fitting_length(const char *text, size_t room) {
    size_t length = strlen(text);
    if (length <= room) {
        return length;
    }
    for (length = room; length > 0; length--) {
        if (text[length] == ' ' && text[length - 1] == ' ') {
            return length - 1;
        }
    }
    return room;
}

static void show(struct log *log) {
    char line[sizeof log->pending + 8];
    size_t length = strlen(log->pending);
    if (log->terminal) {
        length = fitting_length(log->pending, columns());
        snprintf(line, sizeof line, "\r%.*s\033[K", (int)length, log->pending);
    } else {
        snprintf(line, sizeof line, "%s\n", log->pending);
    }
    log_console(line, strlen(line));
    log->standing = log->terminal;
    log->pending[0] = '\0';
    log->shown_at = now();
}

/* Shows the pending text, if it is time. */
static void show_at_times(struct log *log) {
    double least = log->terminal ? log->redraw_seconds : log->plain_seconds;
    if (log->shown_at == 0 || now() - log->shown_at >= least) {
        show(log);
    }
}

void log_progress_clear(struct log *log) {
    if (log->standing) {
        static const char clear[] = "\r\033[K";
        log_console(clear, sizeof clear - 1);
        log->standing = false;
    }
}

void log_progress_end(struct log *log) {
    pthread_mutex_lock(&log->lock);
    if (log->terminal && log->pending[0] != '\0') {
        show(log);
    }
    if (log->standing) {
        log_console("\n", 1);
        log->standing = false;
    }
    log->pending[0] = '\0';
    log->shown_at = 0;
    pthread_mutex_unlock(&log->lock);
}

__attribute__((format(printf, 2, 3))) static void add(struct log *log, const char *format, ...) {
    size_t used = strlen(log->pending);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(log->pending + used, sizeof log->pending - used, format, arguments);
    va_end(arguments);
}

/* "name 3/10" with as much of it as is known. */
static void add_count(struct log *log, const char *name, int64_t done, int64_t all) {
    char text[32];
    if (done < 0) {
        return;
    }
    add(log, "%s%s %s", log->pending[0] != '\0' ? "  " : "", name, log_number_text(text, done));
    if (all >= 0) {
        add(log, "/%s", log_number_text(text, all));
    }
}

void log_progress(struct log *log, const struct log_progress *progress) {
    char text[32];
    if (log->quiet) {
        return;
    }
    pthread_mutex_lock(&log->lock);
    log->pending[0] = '\0';
    /* What matters least stands last, where a narrow terminal cuts. */
    add_count(log, "epoch", progress->epoch, progress->epochs);
    add_count(log, "step", progress->step, progress->steps);
    if (!(progress->loss < 0)) { /* not a number is worth showing */
        add(log, "  loss %.4f", progress->loss);
    }
    if (progress->seconds_left >= 0 && progress->seconds_left < LONGEST_LEFT) {
        add(log, "  %s left", log_duration_text(text, progress->seconds_left));
    }
    if (progress->pictures_per_second >= 10 && progress->pictures_per_second < 1e15) {
        add(log, "  %s pictures/s",
            log_number_text(text, (int64_t)(progress->pictures_per_second + 0.5)));
    } else if (progress->pictures_per_second >= 0) {
        add(log, "  %.2g pictures/s", progress->pictures_per_second);
    }
    if (progress->rate >= 0) {
        add(log, "  rate %.4g", progress->rate);
    }
    show_at_times(log);
    pthread_mutex_unlock(&log->lock);
}

void log_count(struct log *log, const char *what, int64_t done, int64_t total) {
    char text[32];
    if (log->quiet) {
        return;
    }
    pthread_mutex_lock(&log->lock);
    log->pending[0] = '\0';
    add(log, "%s: %s", what, log_number_text(text, done));
    if (total > 0) {
        add(log, " of %s", log_number_text(text, total));
    }
    log_make_printable(log->pending);
    if (done == total) {
        show(log);
        log_progress_end(log);
    } else {
        show_at_times(log);
    }
    pthread_mutex_unlock(&log->lock);
}
