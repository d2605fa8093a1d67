/* Writes the generated pages of docs/, or checks that they are up to date. */
#include "docs/generate/page.h"

#include <string.h>

static status write_pages(struct pages *pages) {
    TRY(write_recipe_page(pages));
    TRY(write_schedules_page(pages));
    return STATUS_OK;
}

int main(int count, char **arguments) {
    struct pages pages = {.check = count == 3 && strcmp(arguments[1], "--check") == 0};
    if (count != (pages.check ? 3 : 2)) {
        fprintf(stderr, "usage: docs_generate [--check] FOLDER\n");
        return 2;
    }
    pages.folder = arguments[count - 1];
    if (write_pages(&pages) != STATUS_OK) {
        fprintf(stderr, "docs_generate: %s\n", status_message());
        return 1;
    }
    if (pages.check && pages.outdated > 0) {
        fprintf(stderr, "run: cmake --build --preset debug --target docs\n");
        return 1;
    }
    return 0;
}
