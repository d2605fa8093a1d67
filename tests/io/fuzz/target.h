/* A fuzz target: one function over hostile bytes, which must return, whatever they are. libFuzzer
 * calls it by this name (option CONVOY_FUZZ, clang); runner.c calls it over the corpus and random
 * changes of it, as a test of every build. */
#ifndef TESTS_IO_FUZZ_TARGET_H
#define TESTS_IO_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
