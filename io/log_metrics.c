#include "io/file.h"
#include "io/log_state.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static status append(struct log *log, const char *json) {
    char *line;
    struct stat before;
    int length = asprintf(&line, "%s\n", json);
    if (length < 0) {
        FAIL(STATUS_SYSTEM, "no memory for a line of %s", log->metrics_path);
    }
    status result = STATUS_OK;
    if (fstat(log->metrics, &before) != 0) {
        FAIL_TO(
            done, result, STATUS_SYSTEM, "cannot write %s: %s", log->metrics_path, strerror(errno));
    }
    errno = ENOSPC; /* a short write says no more than this */
    ssize_t written;
    do {
        written = write(log->metrics, line, (size_t)length);
    } while (written < 0 && errno == EINTR);
    if (written != length) {
        int error = errno;
        if (ftruncate(log->metrics, before.st_size) != 0) {
            /* Half a line is left; log_metrics_truncate takes it away. */
        }
        FAIL_TO(
            done, result, STATUS_SYSTEM, "cannot write %s: %s", log->metrics_path, strerror(error));
    }
done:
    free(line);
    return result;
}

status log_metrics(struct log *log, const char *json) {
    if (log->metrics < 0) {
        return STATUS_OK;
    }
    pthread_mutex_lock(&log->lock);
    status result = append(log, json);
    pthread_mutex_unlock(&log->lock);
    return result;
}

/* Whether a line stays: whole, JSON, and of no later step. */
static bool is_kept(const char *line, size_t size, int64_t step) {
    if (size == 0 || line[size - 1] != '\n') {
        return false;
    }
    json_t *object = json_loadb(line, size, 0, NULL);
    const json_t *number = json_object_get(object, "step");
    bool kept = json_is_object(object) &&
                !(json_is_number(number) && json_number_value(number) > (double)step);
    json_decref(object);
    return kept;
}

status log_metrics_truncate(const char *run, int64_t step) {
    char *path, *line = NULL;
    TRY(path_join(&path, run, "metrics.jsonl"));
    status result = STATUS_OK;
    FILE *file = fopen(path, "r+");
    if (file == NULL && errno == ENOENT) {
        goto done;
    }
    if (file == NULL) {
        FAIL_TO(done, result, STATUS_SYSTEM, "cannot read %s: %s", path, strerror(errno));
    }
    off_t end = 0;
    size_t room = 0;
    for (ssize_t size; (size = getline(&line, &room, file)) > 0; end += size) {
        if (!is_kept(line, (size_t)size, step)) {
            break;
        }
    }
    if (ferror(file) || ftruncate(fileno(file), end) != 0) {
        FAIL_TO(done, result, STATUS_SYSTEM, "cannot shorten %s: %s", path, strerror(errno));
    }
done:
    if (file != NULL) {
        fclose(file);
    }
    free(line);
    free(path);
    return result;
}
