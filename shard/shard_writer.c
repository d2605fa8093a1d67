#include "shard/shard_writer.h"

#include "base/memory.h"
#include "shard/shard_file.h"

#include <errno.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAP_FIRST                                                                                  \
    ((size_t)16 << 20)              /* address space, not disk: the file grows as it is written    \
                                     */
#define MAP_SPARE ((size_t)1 << 20) /* for the pages of the tree that a transaction copies */

struct shard_writer {
    MDB_env *env;
    MDB_txn *transaction;
    MDB_dbi dbi;
    uint64_t records;
    size_t page, map;
    size_t used;             /* at most so many bytes of the map are in use */
    size_t pending, waiting; /* bytes to hold back, bytes held back */
    char *path;
};

/* LMDB's own numbers are negative, those of the system positive. */
static status lmdb_fail(const struct shard_writer *writer, int result) {
    FAIL(STATUS_SYSTEM, "%s: cannot write: %s", writer->path, mdb_strerror(result));
}

#define LMDB(writer, call)                                                                         \
    do {                                                                                           \
        int lmdb_result_ = (call);                                                                 \
        if (lmdb_result_ != 0) {                                                                   \
            return lmdb_fail((writer), lmdb_result_);                                              \
        }                                                                                          \
    } while (0)

static status begin(struct shard_writer *writer) {
    LMDB(writer, mdb_txn_begin(writer->env, NULL, 0, &writer->transaction));
    LMDB(writer, mdb_dbi_open(writer->transaction, NULL, 0, &writer->dbi));
    return STATUS_OK;
}

static status flush(struct shard_writer *writer) {
    MDB_txn *transaction = writer->transaction;
    writer->transaction = NULL;
    writer->waiting = 0;
    LMDB(writer, mdb_txn_commit(transaction));
    MDB_envinfo about;
    mdb_env_info(writer->env, &about);
    writer->used = (about.me_last_pgno + 1) * writer->page;
    return STATUS_OK;
}

/* Room for `size` more bytes. LMDB cannot grow its map inside a transaction. */
static status make_room(struct shard_writer *writer, size_t size) {
    if (writer->waiting >= writer->pending || writer->used + size + MAP_SPARE > writer->map) {
        TRY(flush(writer));
        if (writer->used + size + MAP_SPARE > writer->map) {
            writer->map = 2 * (writer->used + size + MAP_SPARE);
            writer->map = (writer->map + 65535) / 65536 * 65536;
            LMDB(writer, mdb_env_set_mapsize(writer->env, writer->map));
        }
        TRY(begin(writer));
    }
    return STATUS_OK;
}

static status open_environment(struct shard_writer *writer) {
    MDB_stat about;
    LMDB(writer, mdb_env_create(&writer->env));
    LMDB(writer, mdb_env_set_mapsize(writer->env, writer->map));
    LMDB(writer, mdb_env_open(writer->env, writer->path,
                     MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC | MDB_NOMETASYNC, 0666));
    LMDB(writer, mdb_env_stat(writer->env, &about));
    writer->page = about.ms_psize;
    return begin(writer);
}

status shard_writer_open(struct shard_writer **writer, const char *path, size_t pending) {
    TRY(MEMORY_ALLOCATE(writer, 1));
    (*writer)->map = MAP_FIRST;
    (*writer)->pending = pending;
    status result;
    TRY_TO(failed, result, memory_copy_text(&(*writer)->path, path));
    TRY_TO(failed, result, open_environment(*writer));
    return STATUS_OK;
failed:
    shard_writer_destroy(*writer);
    *writer = NULL;
    return result;
}

status shard_writer_add(struct shard_writer *writer, const void *packed, size_t size) {
    if (size > UINT32_MAX / 2) {
        FAIL(STATUS_INPUT, "%s: a record of %zu bytes is too large", writer->path, size);
    }
    size_t need = size + 2 * writer->page; /* in pages of its own, and one of the tree */
    TRY(make_room(writer, need));
    unsigned char bytes[8];
    shard_file_key(bytes, writer->records);
    MDB_val key = {sizeof bytes, bytes}, value = {size, (void *)(uintptr_t)packed};
    LMDB(writer, mdb_put(writer->transaction, writer->dbi, &key, &value, MDB_APPEND));
    writer->records++;
    writer->used += need;
    writer->waiting += size;
    return STATUS_OK;
}

/* The last pages of the map may never have been written; a reader wants them all. */
static status extend(const struct shard_writer *writer) {
    uint64_t extent;
    TRY(shard_file_extent(&extent, writer->path));
    mdb_filehandle_t descriptor;
    LMDB(writer, mdb_env_get_fd(writer->env, &descriptor));
    off_t end = lseek(descriptor, 0, SEEK_END);
    if (end < 0 || ((uint64_t)end < extent && ftruncate(descriptor, (off_t)extent) != 0)) {
        FAIL(STATUS_SYSTEM, "%s: cannot write: %s", writer->path, strerror(errno));
    }
    return STATUS_OK;
}

status shard_writer_finish(struct shard_writer *writer) {
    TRY(flush(writer));
    TRY(extend(writer));
    LMDB(writer, mdb_env_sync(writer->env, 1));
    return STATUS_OK;
}

void shard_writer_destroy(struct shard_writer *writer) {
    if (writer == NULL) {
        return;
    }
    if (writer->transaction != NULL) {
        mdb_txn_abort(writer->transaction);
    }
    if (writer->env != NULL) {
        mdb_env_close(writer->env);
    }
    free(writer->path);
    free(writer);
}
