/* Importers as the command runs them. */
#ifndef TESTS_SHARD_SUPPORT_RUN_IMPORT_H
#define TESTS_SHARD_SUPPORT_RUN_IMPORT_H

#include "base/status.h"

#include <stdint.h>

/* How often progress said that a set was done. */
extern int64_t import_told;

/* Options from YAML mappings: those of every importer, and the importer's own. */
status run_import(const char *format, const char *source, const char *dataset, const char *common,
    const char *own);

/* Asserts that the import fails with one line that holds `message`, and leaves nothing behind. */
void refuse_import(const char *format, const char *source, const char *common, const char *own,
    const char *message);

#endif
