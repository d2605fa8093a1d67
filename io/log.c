#include "io/log.h"

#include "base/memory.h"
#include "io/file.h"
#include "io/log_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONSOLE        STDERR_FILENO
#define REDRAW_SECONDS 0.1
#define PLAIN_SECONDS  10

/* Writes it all; false (and errno) where that fails. */
static bool write_all(int descriptor, const char *text, size_t size) {
    while (size > 0) {
        ssize_t done = write(descriptor, text, size);
        if (done < 0 && errno != EINTR) {
            return false;
        }
        text += done > 0 ? done : 0;
        size -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

void log_console(const char *text, size_t size) {
    write_all(CONSOLE, text, size); /* a console that is gone stops no training */
}

static status open_file(
    int *descriptor, char **path, const char *run, const char *name, bool resume) {
    TRY(path_join(path, run, name));
    *descriptor =
        open(*path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (resume ? 0 : O_TRUNC), 0666);
    if (*descriptor < 0) {
        FAIL(STATUS_SYSTEM, "cannot write %s: %s", *path, strerror(errno));
    }
    return STATUS_OK;
}

static void make_lock(struct log *log) {
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&log->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
}

status log_open(struct log **opened, const char *run, bool resume, bool quiet) {
    struct log *log;
    *opened = NULL;
    TRY(MEMORY_ALLOCATE(&log, 1));
    make_lock(log);
    log->quiet = quiet;
    log->terminal = log_is_terminal(CONSOLE);
    log->colour = log_has_colour(CONSOLE);
    log->text = log->metrics = -1;
    log->redraw_seconds = REDRAW_SECONDS;
    log->plain_seconds = PLAIN_SECONDS;
    status result = STATUS_OK;
    if (run != NULL) {
        TRY_TO(failed, result, open_file(&log->text, &log->text_path, run, "log.txt", resume));
        TRY_TO(failed, result,
            open_file(&log->metrics, &log->metrics_path, run, "metrics.jsonl", resume));
    }
    *opened = log;
    return STATUS_OK;
failed:
    log_close(log);
    return result;
}

void log_close(struct log *log) {
    if (log == NULL) {
        return;
    }
    log_progress_end(log);
    if (log->text >= 0) {
        close(log->text);
    }
    if (log->metrics >= 0) {
        close(log->metrics);
    }
    free(log->text_path);
    free(log->metrics_path);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

static void write_console(struct log *log, const char *line, bool warning) {
    char *text;
    const char *mark = !warning ? "" : log->colour ? "\033[33mwarning:\033[0m " : "warning: ";
    int length = asprintf(&text, "%s%s\n", mark, line);
    if (length >= 0) {
        log_progress_clear(log);
        log_console(text, (size_t)length);
        free(text);
    }
}

static void write_text(struct log *log, const char *line, bool warning) {
    time_t now = time(NULL);
    struct tm local;
    char clock[32] = "", *text;
    if (localtime_r(&now, &local) != NULL) {
        strftime(clock, sizeof clock, "%Y-%m-%d %H:%M:%S", &local);
    }
    int length = asprintf(&text, "%s  %s%s\n", clock, warning ? "warning: " : "", line);
    if (length < 0) {
        return;
    }
    if (!write_all(log->text, text, (size_t)length)) {
        int error = errno;
        close(log->text);
        log->text = -1;
        log_warning(
            log, "cannot write %s: %s; going on without it", log->text_path, strerror(error));
    }
    free(text);
}

enum line_kind { LINE, WARNING, NOTE };

static void write_lines(
    struct log *log, enum line_kind kind, const char *format, va_list arguments) {
    const bool warning = kind == WARNING;
    char *text, *rest;
    if (vasprintf(&text, format, arguments) < 0) {
        return;
    }
    rest = text;
    pthread_mutex_lock(&log->lock);
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        log_make_printable(line);
        if (kind != NOTE && (!log->quiet || warning)) {
            write_console(log, line, warning);
        }
        if (log->text >= 0) {
            write_text(log, line, warning);
        }
    }
    pthread_mutex_unlock(&log->lock);
    free(text);
}

void log_line(struct log *log, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_lines(log, LINE, format, arguments);
    va_end(arguments);
}

void log_warning(struct log *log, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_lines(log, WARNING, format, arguments);
    va_end(arguments);
}

void log_note(struct log *log, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_lines(log, NOTE, format, arguments);
    va_end(arguments);
}
