/* Numbers as text and back, strictly: what stands in a recipe is all of a number or none. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Decimal digits with an optional sign, within 64 bits: "1e6", "64k" and "0x10" are none. */
bool number_parse_integer(int64_t *value, const char *text);

/* Decimal, finite: "1", "-0.5", ".5", "1e-3". Refuses "nan", "inf", and what overflows. */
bool number_parse_real(double *value, const char *text);

/* Bytes, not negative: "4 MiB", "512KiB", "1 GiB", "2 TiB", or plain bytes. */
bool number_parse_bytes(int64_t *value, const char *text);

#define NUMBER_TEXT 32

/* The fewest digits that read back as the same double; returns text. */
const char *number_text(char text[NUMBER_TEXT], double value);

/* In the largest unit that divides it ("4 MiB"); returns text. */
const char *number_bytes_text(char text[NUMBER_TEXT], int64_t bytes);

#endif
