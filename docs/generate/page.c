#include "docs/generate/page.h"

#include "io/file.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_LIMIT ((size_t)16 << 20)

status page_open(struct page *page) {
    *page = (struct page){0};
    page->out = open_memstream(&page->text, &page->size);
    if (page->out == NULL) {
        FAIL(STATUS_SYSTEM, "no memory for a page");
    }
    return STATUS_OK;
}

static status write_page(const struct page *page, const char *path) {
    struct atomic_file file;
    TRY(atomic_file_open(&file, path));
    status result = atomic_file_write(&file, page->text, page->size);
    if (result == STATUS_OK) {
        result = atomic_file_commit(&file);
    }
    atomic_file_abandon(&file);
    return result;
}

static bool is_same(const struct page *page, const char *path) {
    void *bytes;
    size_t size;
    if (file_read(&bytes, &size, path, PAGE_LIMIT) != STATUS_OK) {
        return false;
    }
    bool same = size == page->size && memcmp(bytes, page->text, size) == 0;
    free(bytes);
    return same;
}

status page_finish(struct page *page, struct pages *pages, const char *name) {
    status result = STATUS_OK;
    char *path = NULL;
    if (fclose(page->out) != 0) {
        FAIL_TO(done, result, STATUS_SYSTEM, "no memory for %s", name);
    }
    TRY_TO(done, result, path_join(&path, pages->folder, name));
    if (!is_same(page, path)) {
        pages->outdated++;
        if (pages->check) {
            fprintf(stderr, "%s is out of date\n", path);
        } else {
            TRY_TO(done, result, write_page(page, path));
            printf("%s\n", path);
        }
    }
done:
    free(path);
    free(page->text);
    return result;
}
