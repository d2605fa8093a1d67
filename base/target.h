/* What a picture is to be compared with: a typed field of each record, read by the losses. */
#ifndef BASE_TARGET_H
#define BASE_TARGET_H

#include <stdint.h>

enum target_type {
    TARGET_NONE = 0,
    TARGET_CLASS = 1, /* one class number, from 0 */
};

struct target {
    enum target_type type;
    int32_t class_number; /* TARGET_CLASS */
};

#endif
