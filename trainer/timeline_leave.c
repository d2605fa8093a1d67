/* A rank's own part of the trace, where no other can be asked any more. */
#include "trainer/timeline_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define TAIL_SIZE ((off_t)sizeof TIMELINE_TAIL - 1)

/* Where the next rank goes: over the tail of those before. What has none was torn by a kill. */
static off_t find_place(int descriptor) {
    char tail[TAIL_SIZE];
    const off_t end = lseek(descriptor, 0, SEEK_END);
    const bool whole = end > TAIL_SIZE &&
                       pread(descriptor, tail, TAIL_SIZE, end - TAIL_SIZE) == TAIL_SIZE &&
                       memcmp(tail, TIMELINE_TAIL, TAIL_SIZE) == 0;
    return whole ? end - TAIL_SIZE : 0;
}

static status put(int descriptor, const char *path, const char *text, size_t size, off_t place) {
    for (size_t done = 0; done < size;) {
        const ssize_t wrote = pwrite(descriptor, text + done, size - done, place + (off_t)done);
        if (wrote < 0 && errno != EINTR) {
            FAIL(STATUS_SYSTEM, "cannot write %s: %s", path, strerror(errno));
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    if (ftruncate(descriptor, place + (off_t)size) != 0) {
        FAIL(STATUS_SYSTEM, "cannot write %s: %s", path, strerror(errno));
    }
    return STATUS_OK;
}

/* What it is doing at the end, the wait for a lost rank perhaps: a phase is recorded once it is
 * over. */
static struct timeline_event last_event(const struct timeline *timeline) {
    const struct activity_now now = activity_get(timeline->transport->activity);
    return (struct timeline_event){.from = now.since,
        .until = activity_clock(),
        .step = now.step,
        .detail = (int32_t)now.detail,
        .phase = (int16_t)now.phase,
        .part = TIMELINE_NO_PART};
}

/* The text, ready before anyone is kept waiting: begins with what stands before it in a file that
 * is empty, and `*skip` bytes later with what follows other ranks. */
static status make_text(char **text, size_t *size, size_t *skip, struct timeline *timeline) {
    FILE *out = open_memstream(text, size);
    if (out == NULL) {
        FAIL(STATUS_SYSTEM, "no memory for a timeline");
    }
    const int rank = timeline->transport->rank;
    const double start = timeline->start - timeline->offset;
    const struct timeline_heading heading = timeline_head(timeline);
    const struct timeline_event last = last_event(timeline);
    timeline_sort(timeline, heading.count);
    *skip = strlen(TIMELINE_HEAD);
    fputs(TIMELINE_HEAD, out);
    timeline_write_rank(out, timeline, &heading, timeline->events, rank, start);
    timeline_write_event(out, timeline, &last, rank, start);
    fputs(TIMELINE_TAIL, out);
    const bool failed = ferror(out);
    if (fclose(out) != 0 || failed) {
        FAIL(STATUS_SYSTEM, "no memory for a timeline");
    }
    return STATUS_OK;
}

static status add(struct timeline *timeline) {
    const char *path = timeline->path;
    char *text = NULL;
    size_t size, skip;
    int descriptor = -1;
    status result;
    TRY_TO(done, result, make_text(&text, &size, &skip, timeline));
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0 || flock(descriptor, LOCK_EX) != 0) {
        FAIL_TO(done, result, STATUS_SYSTEM, "cannot write %s: %s", path, strerror(errno));
    }
    const off_t place = find_place(descriptor);
    if (place > 0) {
        text[--skip] = ','; /* over the last byte of the head */
        TRY_TO(done, result, put(descriptor, path, text + skip, size - skip, place));
    } else {
        TRY_TO(done, result, put(descriptor, path, text, size, 0));
    }
done:
    if (descriptor >= 0) {
        close(descriptor);
    }
    free(text);
    return result;
}

status timeline_leave(struct timeline *timeline) {
    if (pthread_mutex_trylock(&timeline->writing) != 0) {
        return STATUS_OK;
    }
    status result = STATUS_OK;
    if (!timeline->left) {
        timeline->left = true;
        result = add(timeline);
    }
    pthread_mutex_unlock(&timeline->writing);
    return result;
}
