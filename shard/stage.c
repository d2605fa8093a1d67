#include "shard/stage.h"

#include "base/digest.h"
#include "base/memory.h"
#include "io/file.h"
#include "shard/shard_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHUNK      ((size_t)4 << 20)
#define NAME_LIMIT 64

struct stage {
    char *folder;
    int lock; /* descriptor; -1: none */
    struct stage_counts counts;
};

status stage_folder(char **folder, const char *where, const struct dataset *dataset) {
    const struct dataset_information *information = dataset_get_information(dataset);
    if (asprintf(folder, "%s/convoy-%ld/%s-%d", where, (long)getuid(), information->digest,
            information->shards) < 0) {
        *folder = NULL;
        FAIL(STATUS_SYSTEM, "no memory for the name of a folder");
    }
    return STATUS_OK;
}

/* FOLDER/shard-00000.digest: "<digest> <bytes>" of the copy beside it. */
static status digest_path(char **path, const char *folder, int shard) {
    char name[NAME_LIMIT];
    snprintf(name, sizeof name, "shard-%05d.digest", shard);
    return path_join(path, folder, name);
}

static status read_whole(uint64_t *digest, int64_t *bytes, const char *path,
    struct atomic_file *copy, unsigned char *chunk) {
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        FAIL(STATUS_SYSTEM, "cannot read %s: %s", path, strerror(errno));
    }
    status result = STATUS_OK;
    *digest = 0;
    *bytes = 0;
    for (;;) {
        size_t filled = 0; /* whole chunks, however the system cuts the reads: the digest chains */
        ssize_t got = 1;
        while (filled < CHUNK && got != 0) {
            got = read(from, chunk + filled, CHUNK - filled);
            if (got < 0 && errno != EINTR) {
                FAIL_TO(done, result, STATUS_SYSTEM, "cannot read %s: %s", path, strerror(errno));
            }
            filled += got > 0 ? (size_t)got : 0;
        }
        if (filled == 0) {
            break;
        }
        *digest = digest_add(*digest, chunk, filled);
        *bytes += (int64_t)filled;
        if (copy != NULL) {
            TRY_TO(done, result, atomic_file_write(copy, chunk, filled));
        }
    }
done:
    close(from);
    return result;
}

/* Whether a whole copy is there, as it was when it was made. */
static bool is_there(
    const char *copy, const char *digest_file, int64_t wanted, unsigned char *chunk) {
    void *text;
    size_t size;
    unsigned long long digest;
    long long bytes;
    uint64_t found;
    int64_t length;
    if (!file_exists(copy) || file_read(&text, &size, digest_file, NAME_LIMIT) != STATUS_OK) {
        return false;
    }
    const bool said = sscanf(text, "%llx %lld", &digest, &bytes) == 2 && bytes == wanted;
    free(text);
    return said && read_whole(&found, &length, copy, NULL, chunk) == STATUS_OK && length == bytes &&
           found == digest;
}

static status write_digest(const char *path, uint64_t digest, int64_t bytes) {
    struct atomic_file file;
    TRY(atomic_file_open(&file, path));
    fprintf(file.stream, "%016llx %lld\n", (unsigned long long)digest, (long long)bytes);
    return atomic_file_commit(&file);
}

static status copy_file(
    const char *to, const char *digest_file, const char *from, unsigned char *chunk) {
    struct atomic_file file;
    uint64_t digest, again;
    int64_t bytes, length;
    TRY(atomic_file_open(&file, to));
    status result;
    TRY_TO(failed, result, read_whole(&digest, &bytes, from, &file, chunk));
    if (fflush(file.stream) != 0) {
        FAIL_TO(failed, result, STATUS_SYSTEM, "cannot write %s: %s", to, strerror(errno));
    }
    TRY_TO(failed, result, read_whole(&again, &length, file.temporary, NULL, chunk));
    if (again != digest || length != bytes) {
        FAIL_TO(failed, result, STATUS_INPUT, "the copy %s differs from %s", to, from);
    }
    TRY_TO(failed, result, write_digest(digest_file, digest, bytes));
    return atomic_file_commit(&file);
failed:
    atomic_file_abandon(&file);
    return result;
}

/* The paths of one shard. */
struct paths {
    char *from, *to, *digest;
    int64_t bytes; /* of the original */
};

static void paths_release(struct paths *paths) {
    free(paths->from);
    free(paths->to);
    free(paths->digest);
    *paths = (struct paths){0};
}

static status paths_init(
    struct paths *paths, const char *folder, const struct dataset *dataset, int shard) {
    *paths = (struct paths){0};
    struct stat about;
    TRY(shard_file_path(&paths->from, dataset_get_folder(dataset), shard));
    TRY(shard_file_path(&paths->to, folder, shard));
    TRY(digest_path(&paths->digest, folder, shard));
    if (stat(paths->from, &about) != 0) {
        FAIL(STATUS_SYSTEM, "cannot read %s: %s", paths->from, strerror(errno));
    }
    paths->bytes = about.st_size;
    return STATUS_OK;
}

/* Said beforehand: a full /dev/shm takes other programs with it. */
static status check_room(const char *folder, int64_t bytes) {
    struct statvfs about;
    const double mib = 1024 * 1024;
    if (statvfs(folder, &about) != 0) {
        FAIL(STATUS_SYSTEM, "%s: %s", folder, strerror(errno));
    }
    const double room = (double)about.f_bavail * (double)about.f_frsize;
    if (room < (double)bytes) {
        FAIL(STATUS_SYSTEM,
            "data.stage: %s has %.1f MiB free, and what this node needs of the data set takes "
            "%.1f MiB: name a larger place, or let it need less (data.shuffle: shard, on more "
            "nodes)",
            folder, room / mib, (double)bytes / mib);
    }
    return STATUS_OK;
}

static status copy_missing(struct stage *stage, const struct dataset *dataset, const bool *needed,
    bool *missing, unsigned char *chunk) {
    const int shards = dataset_get_information(dataset)->shards;
    int64_t bytes = 0;
    status result = STATUS_OK;
    struct paths paths = {0};
    for (int shard = 0; shard < shards; shard++) {
        missing[shard] = false;
        if (!needed[shard]) {
            continue;
        }
        TRY_TO(done, result, paths_init(&paths, stage->folder, dataset, shard));
        missing[shard] = !is_there(paths.to, paths.digest, paths.bytes, chunk);
        bytes += missing[shard] ? paths.bytes : 0;
        stage->counts.bytes += paths.bytes;
        stage->counts.found += !missing[shard];
        paths_release(&paths);
    }
    TRY_TO(done, result, check_room(stage->folder, bytes));
    for (int shard = 0; shard < shards; shard++) {
        if (missing[shard]) {
            TRY_TO(done, result, paths_init(&paths, stage->folder, dataset, shard));
            TRY_TO(done, result, copy_file(paths.to, paths.digest, paths.from, chunk));
            paths_release(&paths);
            stage->counts.copied++;
        }
    }
done:
    paths_release(&paths);
    return result;
}

static status take_lock(int descriptor, int operation, const char *path) {
    while (flock(descriptor, operation) != 0) {
        if (errno != EINTR) {
            FAIL(STATUS_SYSTEM, "cannot lock %s: %s", path, strerror(errno));
        }
    }
    return STATUS_OK;
}

/* Opens FOLDER/lock and shares it: what is there stays. Who removed the copies may have removed it
 * in between: then again. */
static status hold(struct stage *stage, const char *path) {
    for (;;) {
        struct stat held, named;
        TRY(folder_make(stage->folder));
        stage->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (stage->lock < 0 && errno == ENOENT) {
            continue;
        }
        if (stage->lock < 0) {
            FAIL(STATUS_SYSTEM, "cannot write %s: %s", path, strerror(errno));
        }
        TRY(take_lock(stage->lock, LOCK_SH, path));
        if (fstat(stage->lock, &held) == 0 && stat(path, &named) == 0 &&
            held.st_ino == named.st_ino) {
            return STATUS_OK;
        }
        close(stage->lock);
    }
}

/* One at a time copies; others that hold the folder read on below it. */
static status copy_alone(
    struct stage *stage, const struct dataset *dataset, const bool *needed, const char *path) {
    const size_t shards = (size_t)dataset_get_information(dataset)->shards;
    unsigned char *chunk = NULL;
    bool *missing = NULL;
    int alone = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (alone < 0) {
        FAIL(STATUS_SYSTEM, "cannot write %s: %s", path, strerror(errno));
    }
    status result;
    TRY_TO(done, result, take_lock(alone, LOCK_EX, path));
    TRY_TO(done, result, MEMORY_ALLOCATE(&chunk, CHUNK));
    TRY_TO(done, result, MEMORY_ALLOCATE(&missing, shards));
    TRY_TO(done, result, copy_missing(stage, dataset, needed, missing, chunk));
done:
    close(alone);
    free(missing);
    free(chunk);
    return result;
}

static status fill(struct stage *stage, const struct dataset *dataset, const bool *needed) {
    char *lock, *alone = NULL;
    TRY(path_join(&lock, stage->folder, "lock"));
    status result;
    TRY_TO(done, result, path_join(&alone, stage->folder, "copying"));
    TRY_TO(done, result, hold(stage, lock));
    TRY_TO(done, result, copy_alone(stage, dataset, needed, alone));
done:
    free(alone);
    free(lock);
    return result;
}

status stage_create(
    struct stage **stage, const char *where, const struct dataset *dataset, const bool *needed) {
    *stage = NULL;
    struct stage *own;
    TRY(MEMORY_ALLOCATE(&own, 1));
    own->lock = -1;
    status result;
    TRY_TO(failed, result, stage_folder(&own->folder, where, dataset));
    TRY_TO(failed, result, fill(own, dataset, needed));
    *stage = own;
    return STATUS_OK;
failed:
    stage_destroy(own);
    return result;
}

/* Only what this file makes: shards, their digests, unfinished work of both, the locks. */
static void remove_copies(const char *folder) {
    char **names, *path;
    size_t count;
    if (folder_names(&names, &count, folder) != STATUS_OK) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const bool ours = strncmp(names[i], "shard-", 6) == 0 || strcmp(names[i], "lock") == 0 ||
                          strcmp(names[i], "copying") == 0;
        if (ours && path_join(&path, folder, names[i]) == STATUS_OK) {
            unlink(path);
            free(path);
        }
    }
    folder_names_release(names, count);
    rmdir(folder);
    char *above = strrchr(folder, '/');
    if (above != NULL && memory_copy_text(&path, folder) == STATUS_OK) {
        path[above - folder] = '\0';
        rmdir(path); /* the user's folder, where it is empty now */
        free(path);
    }
}

void stage_destroy(struct stage *stage) {
    if (stage == NULL) {
        return;
    }
    if (stage->lock >= 0) {
        if (flock(stage->lock, LOCK_EX | LOCK_NB) == 0) {
            remove_copies(stage->folder);
        }
        close(stage->lock);
    }
    free(stage->folder);
    free(stage);
}

struct stage_counts stage_get_counts(const struct stage *stage) {
    return stage->counts;
}
