#include "support/run_import.h"

#include "io/file.h"
#include "io/yaml.h"
#include "shard/importer.h"
#include "support/sample.h"
#include "support/support.h"

#include <string.h>

int64_t import_told;

static void progress(void *context, const char *what, int64_t done, int64_t total) {
    (void)context;
    CU_ASSERT(done <= total && what[0] != '\0');
    import_told += done == total;
}

status run_import(const char *format, const char *source, const char *dataset, const char *common,
    const char *own) {
    const struct kind *kind = options_find(importers, format);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kind);
    const struct importer_operations *importer = (const struct importer_operations *)kind;
    struct document document;
    struct pool pool;
    struct node *root;
    struct import_options options = {0};
    document_init(&document);
    pool_init(&pool);
    status result;
    TRY_TO(done, result, yaml_parse(&document, &root, common, strlen(common), "common"));
    TRY_TO(done, result, options_parse(&options, import_options_table, root, &pool));
    TRY_TO(done, result, pool_take(&pool, &options.values, 1, kind->options_size));
    TRY_TO(done, result, yaml_parse(&document, &root, own, strlen(own), "own"));
    TRY_TO(done, result, options_parse(options.values, kind->options, root, &pool));
    options.progress = progress;
    TRY_TO(done, result, importer->import(source, dataset, &options));
done:
    pool_release(&pool);
    document_release(&document);
    return result;
}

void refuse_import(const char *format, const char *source, const char *common, const char *own,
    const char *message) {
    static const char *above; /* one for all: it stays empty */
    if (above == NULL) {
        above = test_folder();
    }
    status result = run_import(format, source, sample_path(above, "a/set"), common, own);
    CU_ASSERT_NOT_EQUAL(result, STATUS_OK);
    test_assert_message(message, __FILE__, __LINE__);
    CU_ASSERT_PTR_NULL(strchr(status_message(), '\n'));
    CU_ASSERT_FALSE(folder_exists(sample_path(above, "a")));
}
