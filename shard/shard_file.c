#include "shard/shard_file.h"

#include "base/memory.h"
#include "io/file.h"
#include "shard/dataset_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room behind the end of the file inside the mapping: an offset that is damaged in its page ends
 * there, in a SIGBUS that is ours. */
#define SLACK ((uint64_t)1 << 20)

struct shard_file {
    MDB_env *env;
    MDB_dbi dbi;
    struct dataset_guard *guard;
    uintptr_t base; /* of the mapping */
    uint64_t size;  /* bytes of the file */
    char *path;
};

status shard_file_path(char **path, const char *folder, int shard) {
    char name[32];
    snprintf(name, sizeof name, "shard-%05d.mdb", shard);
    return path_join(path, folder, name);
}

void shard_file_key(unsigned char key[8], uint64_t number) {
    for (int i = 0; i < 8; i++) {
        key[i] = (unsigned char)(number >> (56 - 8 * i));
    }
}

/* What Convoy needs of a meta page of LMDB 0.9 (data version 1, 64 bits; struct MDB_meta in its
 * mdb.c): the page header has 16 bytes, then magic, version, address, map size, two trees of 48
 * bytes each (free pages; records), the last page, and the transaction. */
enum { META_BYTES = 16 + 136, META_MAGIC = 16, META_VERSION = 20, META_TREE = 16 + 24 };
enum { META_PAGE_FLAGS = 10, META_LAST_PAGE = 16 + 120, META_TRANSACTION = 16 + 128 };
enum { TREE_BYTES = 48, TREE_PAD = 0, TREE_ENTRIES = 32 };
#define LMDB_MAGIC     0xBEEFC0DEu
#define LMDB_VERSION   1u
#define LMDB_META_PAGE 8u

struct meta {
    uint32_t page_size;
    uint64_t entries, last_page, transaction;
};

static uint64_t field(const unsigned char *bytes, int offset, int size) {
    uint64_t value = 0; /* LMDB writes in the machine's own order */
    uint32_t word;
    uint16_t half;
    switch (size) {
    case 2: memcpy(&half, bytes + offset, 2); return half;
    case 4: memcpy(&word, bytes + offset, 4); return word;
    default: memcpy(&value, bytes + offset, 8); return value;
    }
}

static status read_meta(struct meta *meta, int descriptor, uint64_t offset, const char *path) {
    unsigned char bytes[META_BYTES];
    ssize_t got = pread(descriptor, bytes, sizeof bytes, (off_t)offset);
    if (got < 0) {
        FAIL(STATUS_SYSTEM, "%s: %s", path, strerror(errno));
    }
    if (got < META_BYTES) {
        FAIL(STATUS_INPUT, "%s: the shard is cut short: its meta page at byte %llu is not there",
            path, (unsigned long long)offset);
    }
    if (field(bytes, META_MAGIC, 4) != LMDB_MAGIC ||
        field(bytes, META_VERSION, 4) != LMDB_VERSION ||
        field(bytes, META_PAGE_FLAGS, 2) != LMDB_META_PAGE) {
        FAIL(STATUS_INPUT, "%s: no LMDB file, or its meta page at byte %llu is damaged", path,
            (unsigned long long)offset);
    }
    *meta = (struct meta){
        .page_size = (uint32_t)field(bytes, META_TREE + TREE_PAD, 4),
        .entries = field(bytes, META_TREE + TREE_BYTES + TREE_ENTRIES, 8),
        .last_page = field(bytes, META_LAST_PAGE, 8),
        .transaction = field(bytes, META_TRANSACTION, 8),
    };
    return STATUS_OK;
}

/* The meta page that LMDB will follow: the one of the later transaction. */
static status read_newest(struct meta *meta, int descriptor, const char *path) {
    struct meta other;
    TRY(read_meta(meta, descriptor, 0, path));
    uint32_t page = meta->page_size;
    if (page < 512 || page > 65536 || (page & (page - 1)) != 0) {
        FAIL(STATUS_INPUT, "%s: its pages have %u bytes: must be a power of two, 512 to 65536",
            path, page);
    }
    TRY(read_meta(&other, descriptor, page, path));
    if (other.page_size != page) {
        FAIL(STATUS_INPUT, "%s: its meta pages disagree on the size of a page (%u, %u)", path, page,
            other.page_size);
    }
    if (other.transaction > meta->transaction) {
        *meta = other;
    }
    if (meta->last_page >= ((uint64_t)1 << 47) / page) {
        FAIL(STATUS_INPUT, "%s: its meta page claims %llu pages", path,
            (unsigned long long)meta->last_page);
    }
    return STATUS_OK;
}

static status inspect(struct meta *meta, uint64_t *size, const char *path) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        FAIL(errno == ENOENT ? STATUS_INPUT : STATUS_SYSTEM, "%s: %s", path, strerror(errno));
    }
    status result;
    struct stat about;
    if (fstat(descriptor, &about) != 0) {
        FAIL_TO(done, result, STATUS_SYSTEM, "%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(about.st_mode)) {
        FAIL_TO(done, result, STATUS_INPUT, "%s: is no file", path);
    }
    *size = (uint64_t)about.st_size;
    TRY_TO(done, result, read_newest(meta, descriptor, path));
done:
    close(descriptor);
    return result;
}

status shard_file_check(uint64_t *size, const char *path, int64_t records) {
    struct meta meta;
    TRY(inspect(&meta, size, path));
    uint64_t extent = (meta.last_page + 1) * meta.page_size;
    if (*size < extent) {
        FAIL(STATUS_INPUT, "%s: the shard is cut short: %llu bytes, its meta page says %llu", path,
            (unsigned long long)*size, (unsigned long long)extent);
    }
    if (meta.entries != (uint64_t)records) {
        FAIL(STATUS_INPUT, "%s: the shard has %llu records, dataset.yaml says %lld", path,
            (unsigned long long)meta.entries, (long long)records);
    }
    return STATUS_OK;
}

status shard_file_extent(uint64_t *extent, const char *path) {
    struct meta meta;
    uint64_t size;
    TRY(inspect(&meta, &size, path));
    *extent = (meta.last_page + 1) * meta.page_size;
    return STATUS_OK;
}

static void asserted(MDB_env *env, const char *message) {
    const struct shard_file *file = mdb_env_get_userctx(env);
    dataset_guard_die(file->path, message);
}

static status lmdb_fail(int result, const char *path) {
    FAIL(result > 0 ? STATUS_SYSTEM : STATUS_INPUT, "%s: %s", path, mdb_strerror(result));
}

/* One transaction a look-up: without locks that costs one small allocation, and threads share
 * nothing. The value outlives it, for the file never changes. */
static status look_up(MDB_val *value, const struct shard_file *file, int64_t number) {
    unsigned char bytes[8];
    shard_file_key(bytes, (uint64_t)number);
    MDB_val key = {sizeof bytes, bytes};
    MDB_txn *transaction;
    dataset_guard_enter(file->guard);
    int result = mdb_txn_begin(file->env, NULL, MDB_RDONLY, &transaction);
    if (result == 0) {
        result = mdb_get(transaction, file->dbi, &key, value);
        mdb_txn_abort(transaction);
    }
    dataset_guard_leave();
    if (result != 0) {
        FAIL(STATUS_INPUT, "the shard is damaged: LMDB says %s", mdb_strerror(result));
    }
    return STATUS_OK;
}

/* LMDB does not say where it mapped a file, but the system does: the mapping that holds `inside`.
 */
static status find_mapping(uintptr_t *base, uint64_t *size, const void *inside, const char *path) {
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) {
        FAIL(STATUS_SYSTEM, "%s: cannot guard the shard: /proc/self/maps: %s", path,
            strerror(errno));
    }
    char line[512];
    unsigned long long low, high;
    bool found = false;
    while (!found && fgets(line, sizeof line, maps) != NULL) {
        found = sscanf(line, "%llx-%llx", &low, &high) == 2 && (uintptr_t)inside >= low &&
                (uintptr_t)inside < high;
    }
    fclose(maps);
    if (!found) {
        FAIL(STATUS_INPUT, "%s: the shard is damaged: its first record lies outside", path);
    }
    *base = (uintptr_t)low;
    *size = high - low;
    return STATUS_OK;
}

static status open_environment(struct shard_file *file) {
    int result = mdb_env_create(&file->env);
    if (result != 0) {
        file->env = NULL;
        return lmdb_fail(result, file->path);
    }
    MDB_txn *transaction = NULL;
    mdb_env_set_userctx(file->env, file);
    mdb_env_set_assert(file->env, asserted);
    if ((result = mdb_env_set_mapsize(file->env, file->size + SLACK)) != 0 ||
        (result = mdb_env_open(
             file->env, file->path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0)) != 0 ||
        (result = mdb_txn_begin(file->env, NULL, MDB_RDONLY, &transaction)) != 0) {
        return lmdb_fail(result, file->path);
    }
    result = mdb_dbi_open(transaction, NULL, 0, &file->dbi);
    mdb_txn_abort(transaction);
    return result == 0 ? STATUS_OK : lmdb_fail(result, file->path);
}

/* The guard first claims what this thread does, then, when a first value has shown where the
 * mapping lies, every fault in it. */
static status open_guard(struct shard_file *file, int64_t records) {
    TRY(dataset_guard_add(&file->guard, file->path));
    if (records == 0) {
        return STATUS_OK;
    }
    MDB_val value;
    uintptr_t base;
    uint64_t size;
    status result = look_up(&value, file, 0);
    if (result != STATUS_OK) {
        return status_prefix(result, "%s", file->path);
    }
    TRY(find_mapping(&base, &size, value.mv_data, file->path));
    file->base = base;
    dataset_guard_set_range(file->guard, base, size);
    return STATUS_OK;
}

status shard_file_open(struct shard_file **file, const char *path, int64_t records) {
    TRY(MEMORY_ALLOCATE(file, 1));
    status result;
    TRY_TO(failed, result, memory_copy_text(&(*file)->path, path));
    TRY_TO(failed, result, shard_file_check(&(*file)->size, path, records));
    TRY_TO(failed, result, open_environment(*file));
    TRY_TO(failed, result, open_guard(*file, records));
    return STATUS_OK;
failed:
    shard_file_close(*file);
    *file = NULL;
    return result;
}

void shard_file_close(struct shard_file *file) {
    if (file == NULL) {
        return;
    }
    dataset_guard_remove(file->guard);
    if (file->env != NULL) {
        mdb_env_close(file->env);
    }
    free(file->path);
    free(file);
}

const struct dataset_guard *shard_file_get_guard(const struct shard_file *file) {
    return file->guard;
}

status shard_file_read(
    const void **bytes, size_t *size, const struct shard_file *file, int64_t number) {
    MDB_val value;
    TRY(look_up(&value, file, number));
    uint64_t offset = (uintptr_t)value.mv_data - file->base;
    if (offset >= file->size || value.mv_size > file->size - offset) {
        FAIL(STATUS_INPUT, "the shard is damaged: a record reaches past the end of the file");
    }
    *bytes = value.mv_data;
    *size = value.mv_size;
    return STATUS_OK;
}
