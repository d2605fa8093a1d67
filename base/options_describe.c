#include "base/options_describe.h"

#include "base/number.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

void text_append(char *text, size_t size, const char *format, ...) {
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
}

void text_append_known(
    char *text, size_t size, const char *name, const char *const *names, int count) {
    const char *nearest = options_nearest(name, names, count);
    if (nearest != NULL) {
        text_append(text, size, "; did you mean \"%s\"?", nearest);
    }
    text_append(text, size, nearest != NULL ? " (known: " : "; known: ");
    for (int i = 0; i < count; i++) {
        text_append(text, size, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    text_append(text, size, nearest != NULL ? ")" : "");
}

int options_count(const struct option *table) {
    int count = 0;
    while (table != NULL && table[count].name != NULL) {
        count++;
    }
    return count;
}

int kinds_count(const struct kind *const *kinds) {
    int count = 0;
    while (kinds != NULL && kinds[count] != NULL) {
        count++;
    }
    return count;
}

static const char *bound_text(char text[NUMBER_TEXT], const struct option *option, double bound) {
    return option->type == OPTION_BYTES ? number_bytes_text(text, (int64_t)bound)
                                        : number_text(text, bound);
}

const char *option_range(char *text, size_t size, const struct option *option) {
    assert(option->low <= option->high);
    char low[NUMBER_TEXT], high[NUMBER_TEXT];
    text[0] = '\0';
    if (option->low == 0 && option->high == 0) {
        return text;
    }
    if (isinf(option->high)) {
        snprintf(text, size, "at least %s", bound_text(low, option, option->low));
    } else if (isinf(option->low)) {
        snprintf(text, size, "at most %s", bound_text(high, option, option->high));
    } else {
        snprintf(text, size, "%s to %s", bound_text(low, option, option->low),
            bound_text(high, option, option->high));
    }
    return text;
}

const char *option_type_text(char *text, size_t size, const struct option *option) {
    static const char *const words[] = {
        [OPTION_INTEGER] = "whole number",
        [OPTION_REAL] = "number",
        [OPTION_SWITCH] = "true or false",
        [OPTION_TEXT] = "text",
        [OPTION_BYTES] = "bytes",
        [OPTION_NAME] = "one of ",
        [OPTION_PAIR] = "whole number or two",
        [OPTION_REALS] = "list of numbers",
        [OPTION_TEXTS] = "list of texts",
        [OPTION_GROUP] = "group",
        [OPTION_CHOICE] = "one of ",
        [OPTION_CHOICES] = "list of ",
        [OPTION_NODE] = "tree",
    };
    char range[3 * NUMBER_TEXT];
    text[0] = '\0';
    text_append(text, size, "%s", words[option->type]);
    if (option->type == OPTION_NAME) {
        for (int i = 0; option->names[i] != NULL; i++) {
            text_append(text, size, "%s%s", i > 0 ? ", " : "", option->names[i]);
        }
    } else if (option->type == OPTION_CHOICE || option->type == OPTION_CHOICES) {
        for (int i = 0; option->kinds[i] != NULL; i++) {
            text_append(text, size, "%s%s", i > 0 ? ", " : "", option->kinds[i]->name);
        }
    } else if (*option_range(range, sizeof range, option) != '\0') {
        text_append(text, size, ", %s", range);
    }
    return text;
}
