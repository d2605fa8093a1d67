/* The generated pages of docs/: each is written into memory first, then to its file, or compared
 * with the file that is there.
 */
#ifndef DOCS_GENERATE_PAGE_H
#define DOCS_GENERATE_PAGE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdio.h>

struct pages {
    const char *folder;
    bool check;   /* compare instead of writing */
    int outdated; /* pages that differ from their files */
};

/* Opens a page in memory, and writes or compares it as `name` below the folder. */
struct page {
    FILE *out;
    char *text;
    size_t size;
};
status page_open(struct page *page);
status page_finish(struct page *page, struct pages *pages, const char *name);

/* docs/recipe.md: every key, from the option tables. */
status write_recipe_page(struct pages *pages);

/* docs/schedules.md, and docs/schedules/NAME.svg drawn from the real functions. Fails where a
 * schedule has no picture. */
status write_schedules_page(struct pages *pages);

#endif
