#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_digits(const char *at, int *count) {
    while (isdigit((unsigned char)*at)) {
        at++;
        (*count)++;
    }
    return at;
}

static const char *skip_sign(const char *at) {
    return *at == '+' || *at == '-' ? at + 1 : at;
}

bool number_parse_integer(int64_t *value, const char *text) {
    int digits = 0;
    const char *end = skip_digits(skip_sign(text), &digits);
    if (digits == 0 || *end != '\0') {
        return false;
    }
    errno = 0;
    long long number = strtoll(text, NULL, 10);
    if (errno != 0) {
        return false;
    }
    *value = number;
    return true;
}

bool number_parse_real(double *value, const char *text) {
    /* strtod alone would take "nan", "infinity" and "0x1p3". */
    int digits = 0;
    const char *at = skip_digits(skip_sign(text), &digits);
    if (*at == '.') {
        at = skip_digits(at + 1, &digits);
    }
    if (digits == 0) {
        return false;
    }
    if (*at == 'e' || *at == 'E') {
        int exponent_digits = 0;
        at = skip_digits(skip_sign(at + 1), &exponent_digits);
        if (exponent_digits == 0) {
            return false;
        }
    }
    double number = strtod(text, NULL);
    if (*at != '\0' || !isfinite(number)) {
        return false;
    }
    *value = number;
    return true;
}

static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
#define UNITS (int)(sizeof units / sizeof units[0])

bool number_parse_bytes(int64_t *value, const char *text) {
    int digits = 0;
    const char *unit = skip_digits(text, &digits);
    char number[24];
    if (digits == 0 || digits >= (int)sizeof number) {
        return false;
    }
    memcpy(number, text, (size_t)digits);
    number[digits] = '\0';
    while (*unit == ' ') {
        unit++;
    }
    int64_t count;
    if (!number_parse_integer(&count, number)) {
        return false;
    }
    for (int i = 0; i < UNITS; i++) {
        if (strcmp(unit, units[i]) == 0 || (i == 0 && *unit == '\0')) {
            return !__builtin_mul_overflow(count, (int64_t)1 << (10 * i), value);
        }
    }
    return false;
}

const char *number_text(char text[NUMBER_TEXT], double value) {
    if (value == trunc(value) && fabs(value) < 1e15) {
        snprintf(text, NUMBER_TEXT, "%.0f", value);
        return text;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, NUMBER_TEXT, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    return text;
}

const char *number_bytes_text(char text[NUMBER_TEXT], int64_t bytes) {
    int unit = 0;
    while (unit + 1 < UNITS && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, NUMBER_TEXT, unit == 0 ? "%" PRId64 : "%" PRId64 " %s", bytes, units[unit]);
    return text;
}
