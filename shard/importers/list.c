#include "shard/importer.h"

extern const struct importer_operations importer_idx, importer_cifar10, importer_pictures;

const struct kind *const importers[] = {
    &importer_idx.kind,
    &importer_cifar10.kind,
    &importer_pictures.kind,
    NULL,
};
