#include "io/fuzz/target.h"

#include "io/yaml.h"

#include <stdlib.h>
#include <string.h>

/* As a file, and where it has no zero byte as an override of a small recipe. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char recipe[] = "train: {batch: 1, sizes: [1, 2]}\na: b\n";
    struct document document;
    struct node *root;
    document_init(&document);
    if (yaml_parse(&document, &root, (const char *)data, size, "fuzz.yaml") != STATUS_OK &&
        root != NULL) {
        abort();
    }
    document_release(&document);

    char *assignment = strndup((const char *)data, size);
    document_init(&document);
    if (yaml_parse(&document, &document.root, recipe, sizeof recipe - 1, "r.yaml") != STATUS_OK) {
        abort();
    }
    (void)yaml_override(&document, assignment); /* refusing is right too */
    document_release(&document);
    free(assignment);
    return 0;
}
