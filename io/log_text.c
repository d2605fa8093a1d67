#include "io/log_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void log_make_printable(char *text) {
    for (unsigned char *c = (unsigned char *)text; *c != '\0'; c++) {
        if (*c < ' ' || *c == 0x7f) {
            *c = '?';
        } else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) { /* the same in UTF-8 */
            c[0] = c[1] = '?';
        }
    }
}

const char *log_number_text(char text[32], int64_t number) {
    char digits[24];
    int length = snprintf(
        digits, sizeof digits, "%" PRIu64, number < 0 ? -(uint64_t)number : (uint64_t)number);
    size_t used = 0;
    if (number < 0) {
        text[used++] = '-';
    }
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            text[used++] = ',';
        }
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

const char *log_duration_text(char text[32], double seconds) {
    const int64_t whole = (int64_t)(seconds + 0.5);
    const int64_t minutes = whole / 60, hours = whole / 3600, days = whole / 86400;
    if (days > 0) {
        snprintf(text, 32, "%" PRId64 " d %" PRId64 " h", days, hours % 24);
    } else if (hours > 0) {
        snprintf(text, 32, "%" PRId64 " h %" PRId64 " min", hours, minutes % 60);
    } else if (minutes > 0) {
        snprintf(text, 32, "%" PRId64 " min %" PRId64 " s", minutes, whole % 60);
    } else {
        snprintf(text, 32, "%" PRId64 " s", whole);
    }
    return text;
}
