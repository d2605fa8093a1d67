#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY_MARK  ".tmp-"
#define TEMPORARY_TRIES 1000
#define READ_START      ((size_t)64 << 10)

/* Flushes the folder that `path` lies in, or a rename may be lost when the power is. */
static status flush_folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL   ? strdup(".")
                   : slash == path ? strdup("/")
                                   : strndup(path, (size_t)(slash - path));
    if (folder == NULL) {
        FAIL(STATUS_SYSTEM, "no memory for a path");
    }
    status result = STATUS_OK;
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        FAIL_TO(done, result, STATUS_SYSTEM, "cannot open folder %s: %s", folder, strerror(errno));
    }
    /* EINVAL: a file system whose folders need no flushing. */
    if (fsync(descriptor) != 0 && errno != EINVAL) {
        FAIL_TO(done, result, STATUS_SYSTEM, "cannot flush folder %s: %s", folder, strerror(errno));
    }
done:
    if (descriptor >= 0) {
        close(descriptor);
    }
    free(folder);
    return result;
}

status atomic_file_open(struct atomic_file *file, const char *path) {
    static atomic_uint count;
    *file = (struct atomic_file){0};
    status result = STATUS_OK;
    file->path = strdup(path);
    if (file->path == NULL) {
        FAIL_TO(failed, result, STATUS_SYSTEM, "no memory for a path");
    }
    int descriptor = -1;
    for (int try = 0; descriptor < 0; try++) {
        free(file->temporary);
        if (asprintf(&file->temporary, "%s" TEMPORARY_MARK "%ld-%u", path, (long)getpid(),
                atomic_fetch_add(&count, 1)) < 0) {
            file->temporary = NULL;
            FAIL_TO(failed, result, STATUS_SYSTEM, "no memory for a path");
        }
        descriptor = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        /* Another host may have a process of our number, a dead one may have left its file. */
        if (descriptor < 0 && (errno != EEXIST || try == TEMPORARY_TRIES)) {
            int error = errno;
            free(file->temporary); /* not ours: must not be removed */
            file->temporary = NULL;
            FAIL_TO(failed, result, STATUS_SYSTEM, "cannot write %s: %s", path, strerror(error));
        }
    }
    file->stream = fdopen(descriptor, "wb");
    if (file->stream == NULL) {
        close(descriptor);
        FAIL_TO(failed, result, STATUS_SYSTEM, "cannot write %s: %s", path, strerror(errno));
    }
    return STATUS_OK;
failed:
    atomic_file_abandon(file);
    return result;
}

status atomic_file_write(struct atomic_file *file, const void *bytes, size_t size) {
    if (size > 0 && fwrite(bytes, 1, size, file->stream) != size) {
        FAIL(STATUS_SYSTEM, "cannot write %s: %s", file->path, strerror(errno));
    }
    return STATUS_OK;
}

status atomic_file_commit(struct atomic_file *file) {
    status result = STATUS_OK;
    if (ferror(file->stream)) {
        FAIL_TO(
            done, result, STATUS_SYSTEM, "cannot write %s: an earlier write failed", file->path);
    }
    if (fflush(file->stream) != 0 || fsync(fileno(file->stream)) != 0) {
        FAIL_TO(done, result, STATUS_SYSTEM, "cannot write %s: %s", file->path, strerror(errno));
    }
    int closed = fclose(file->stream);
    file->stream = NULL;
    if (closed != 0) {
        FAIL_TO(done, result, STATUS_SYSTEM, "cannot write %s: %s", file->path, strerror(errno));
    }
    if (rename(file->temporary, file->path) != 0) {
        FAIL_TO(done, result, STATUS_SYSTEM, "cannot rename %s to %s: %s", file->temporary,
            file->path, strerror(errno));
    }
    free(file->temporary);
    file->temporary = NULL;
    TRY_TO(done, result, flush_folder_of(file->path));
done:
    atomic_file_abandon(file);
    return result;
}

void atomic_file_abandon(struct atomic_file *file) {
    if (file->stream != NULL) {
        fclose(file->stream);
    }
    if (file->temporary != NULL) {
        unlink(file->temporary);
    }
    free(file->temporary);
    free(file->path);
    *file = (struct atomic_file){0};
}

/* "<path>.tmp-<process>-<number>" and nothing like it. */
bool atomic_file_is_temporary(const char *name) {
    static const char digits[] = "0123456789";
    const char *at = NULL;
    for (const char *next = strstr(name, TEMPORARY_MARK); next != NULL;
         next = strstr(at, TEMPORARY_MARK)) {
        at = next + strlen(TEMPORARY_MARK);
    }
    size_t process = at != NULL ? strspn(at, digits) : 0;
    if (process == 0 || at[process] != '-') {
        return false;
    }
    size_t number = strspn(at + process + 1, digits);
    return number > 0 && at[process + 1 + number] == '\0';
}

static status read_all(char **bytes, size_t *size, int descriptor, const char *path, size_t limit) {
    struct stat about;
    if (fstat(descriptor, &about) != 0) {
        FAIL(STATUS_SYSTEM, "cannot read %s: %s", path, strerror(errno));
    }
    if (S_ISDIR(about.st_mode)) {
        FAIL(STATUS_INPUT, "%s is a folder, not a file", path);
    }
    /* The size is a hint only: a pipe has none, and a file may grow meanwhile. */
    size_t room = READ_START;
    if (S_ISREG(about.st_mode)) {
        if ((uint64_t)about.st_size > limit) {
            FAIL(STATUS_INPUT, "%s has %lld bytes, more than the limit of %zu", path,
                (long long)about.st_size, limit);
        }
        room = (size_t)about.st_size + 1;
    }
    *size = 0;
    for (;;) {
        if (*bytes == NULL || *size == room) {
            room = *bytes == NULL ? room : 2 * room;
            char *more = realloc(*bytes, room + 1);
            if (more == NULL) {
                FAIL(STATUS_SYSTEM, "no memory for the %zu bytes of %s", room, path);
            }
            *bytes = more;
        }
        ssize_t got = read(descriptor, *bytes + *size, room - *size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            FAIL(STATUS_SYSTEM, "cannot read %s: %s", path, strerror(errno));
        }
        if (got == 0) {
            (*bytes)[*size] = '\0';
            return STATUS_OK;
        }
        *size += (size_t)got;
        if (*size > limit) {
            FAIL(STATUS_INPUT, "%s has more bytes than the limit of %zu", path, limit);
        }
    }
}

status file_read(void **bytes, size_t *size, const char *path, size_t limit) {
    *bytes = NULL;
    *size = 0;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        FAIL(errno == ENOENT || errno == ENOTDIR ? STATUS_NOT_FOUND : STATUS_SYSTEM,
            "cannot read %s: %s", path, strerror(errno));
    }
    char *text = NULL;
    status result = read_all(&text, size, descriptor, path, limit);
    close(descriptor);
    if (result != STATUS_OK) {
        free(text);
        *size = 0;
        return status_trace(result, __FILE__, __LINE__, __func__);
    }
    *bytes = text;
    return STATUS_OK;
}

bool file_exists(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && !S_ISDIR(about.st_mode);
}

bool folder_exists(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

status folder_make(const char *path) {
    char *prefix = strdup(path);
    if (prefix == NULL) {
        FAIL(STATUS_SYSTEM, "no memory for a path");
    }
    status result = STATUS_OK;
    for (char *end = prefix; *end != '\0';) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        char kept = *end;
        *end = '\0';
        if (mkdir(prefix, 0777) != 0) {
            int error = errno;
            if (!folder_exists(prefix)) {
                FAIL_TO(done, result, STATUS_SYSTEM, "cannot make folder %s: %s", prefix,
                    strerror(error));
            }
        }
        *end = kept;
    }
done:
    free(prefix);
    return result;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

status folder_names(char ***names, size_t *count, const char *path) {
    *names = NULL;
    *count = 0;
    size_t room = 0;
    status result = STATUS_OK;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        FAIL(errno == ENOENT || errno == ENOTDIR ? STATUS_NOT_FOUND : STATUS_SYSTEM,
            "cannot read folder %s: %s", path, strerror(errno));
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (*count == room) {
            room = room == 0 ? 16 : 2 * room;
            char **more = realloc(*names, room * sizeof *more);
            if (more == NULL) {
                FAIL_TO(done, result, STATUS_SYSTEM, "no memory for %zu names in %s", room, path);
            }
            *names = more;
        }
        char *name = strdup(entry->d_name);
        if (name == NULL) {
            FAIL_TO(done, result, STATUS_SYSTEM, "no memory for the names in %s", path);
        }
        (*names)[(*count)++] = name;
    }
    if (errno != 0) {
        FAIL_TO(done, result, STATUS_SYSTEM, "cannot read folder %s: %s", path, strerror(errno));
    }
    if (*count > 0) {
        qsort(*names, *count, sizeof **names, compare_names);
    }
done:
    closedir(folder);
    if (result != STATUS_OK) {
        folder_names_release(*names, *count);
        *names = NULL;
        *count = 0;
    }
    return result;
}

void folder_names_release(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}

status path_join(char **joined, const char *folder, const char *name) {
    size_t length = strlen(folder);
    bool slash = length > 0 && folder[length - 1] != '/';
    if (asprintf(joined, "%s%s%s", folder, slash ? "/" : "", name) < 0) {
        *joined = NULL;
        FAIL(STATUS_SYSTEM, "no memory for a path");
    }
    return STATUS_OK;
}
