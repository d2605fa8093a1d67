/* DATASET/dataset.yaml, written and read with suspicion: every number in it is checked before it
 * becomes a size.
 */
#ifndef SHARD_DATASET_YAML_H
#define SHARD_DATASET_YAML_H

#include "shard/dataset.h"

#define DATASET_CLASSES_LIMIT (1 << 20)

/* FOLDER/dataset.yaml; freed by free(). */
status dataset_yaml_path(char **path, const char *folder);

/* Fills `information`, released by dataset_information_release (also after a failure). Fails with
 * STATUS_INPUT, naming file, line and key. */
status dataset_yaml_read(struct dataset_information *information, const char *path);

/* Writes atomically. */
status dataset_yaml_write(const char *path, const struct dataset_information *information);

void dataset_information_release(struct dataset_information *information);

#endif
