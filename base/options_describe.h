/* What options_parse, options_help and options_document share: an option in words. */
#ifndef BASE_OPTIONS_DESCRIBE_H
#define BASE_OPTIONS_DESCRIBE_H

#include "base/options.h"

/* "1 to 65536", "at least 1", "at most 0", or "" where any number will do; returns text. */
const char *option_range(char *text, size_t size, const struct option *option);

/* "whole number, 1 to 65536", "one of none, global, shard", ...; returns text. */
const char *option_type_text(char *text, size_t size, const struct option *option);

int options_count(const struct option *table);
int kinds_count(const struct kind *const *kinds);

/* Appends printf-formatted text to text[size], cutting what does not fit. */
void text_append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends "; did you mean "nearest"?" where one name is near, and "; known: a, b, c". */
void text_append_known(
    char *text, size_t size, const char *name, const char *const *names, int count);

#endif
