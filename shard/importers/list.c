#include "shard/importer.h"

const struct kind *const importers[] = {NULL};
