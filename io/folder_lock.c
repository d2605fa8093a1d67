#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Who holds the lock stands in the file: "host pid\n". */
static status refuse(int descriptor, const char *folder) {
    char text[HOST_NAME_MAX + 32] = "";
    char host[HOST_NAME_MAX + 32];
    long process;
    ssize_t size = pread(descriptor, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    if (sscanf(text, "%95s %ld", host, &process) != 2) {
        FAIL(STATUS_USAGE, "%s is in use by another job", folder);
    }
    FAIL(STATUS_USAGE, "%s is in use by another job (process %ld on %s)", folder, process, host);
}

static status take(int descriptor, const char *folder, const char *path) {
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return refuse(descriptor, folder);
        }
        FAIL(STATUS_SYSTEM,
            "cannot lock %s: %s; its file system may not know locks (NFS needs its lock service): "
            "put the run on another one",
            path, strerror(errno));
    }
    char host[HOST_NAME_MAX + 1] = "";
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') {
        snprintf(host, sizeof host, "unknown");
    }
    char text[sizeof host + 32];
    int length = snprintf(text, sizeof text, "%s %ld\n", host, (long)getpid());
    if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, text, (size_t)length, 0) != length) {
        FAIL(STATUS_SYSTEM, "cannot write %s: %s", path, strerror(errno));
    }
    return STATUS_OK;
}

status folder_lock_take(struct folder_lock *lock, const char *folder) {
    lock->descriptor = -1;
    char *path;
    TRY(path_join(&path, folder, "lock"));
    status result = STATUS_OK;
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        FAIL_TO(done, result, STATUS_SYSTEM, "cannot write %s: %s", path, strerror(errno));
    }
    TRY_TO(done, result, take(descriptor, folder, path));
    lock->descriptor = descriptor;
    descriptor = -1;
done:
    if (descriptor >= 0) {
        close(descriptor);
    }
    free(path);
    return result;
}

void folder_lock_release(struct folder_lock *lock) {
    if (lock->descriptor < 0) {
        return;
    }
    /* The file stays: to remove it would let two jobs lock two files of one name. */
    if (ftruncate(lock->descriptor, 0) != 0) {
        /* The old holder's name is left; nobody reads it while nobody holds the lock. */
    }
    close(lock->descriptor);
    lock->descriptor = -1;
}
