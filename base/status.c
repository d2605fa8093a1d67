#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_SIZE 1024
#define TRACE_SIZE   2048

static _Thread_local char message[MESSAGE_SIZE];
static _Thread_local char trace[TRACE_SIZE];

static void trace_add(const char *file, int line, const char *function) {
    size_t used = strlen(trace);
    snprintf(trace + used, sizeof trace - used, "%s%s:%d %s", used > 0 ? "\n" : "", file, line,
        function);
}

status status_fail(
    status code, const char *file, int line, const char *function, const char *format, ...) {
    char text[MESSAGE_SIZE]; /* the old message may be an argument */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(message, text, sizeof message);
    trace[0] = '\0';
    trace_add(file, line, function);
    return code;
}

status status_trace(status code, const char *file, int line, const char *function) {
    trace_add(file, line, function);
    return code;
}

status status_prefix(status code, const char *format, ...) {
    char text[MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof text) {
        snprintf(text + length, sizeof text - (size_t)length, ": %s", message);
    }
    memcpy(message, text, sizeof message);
    return code;
}

const char *status_message(void) {
    return message;
}

const char *status_trace_text(void) {
    return trace;
}

void status_message_copy(char *text, size_t size) {
    snprintf(text, size, "%s", message);
}

status status_adopt(status code, const char *text) {
    snprintf(message, sizeof message, "%s", text);
    trace[0] = '\0';
    return code;
}

const char *status_name(status code) {
    switch (code) {
    case STATUS_OK: return "ok";
    case STATUS_USAGE: return "usage";
    case STATUS_INPUT: return "input";
    case STATUS_NOT_FOUND: return "not found";
    case STATUS_SYSTEM: return "system";
    case STATUS_PEER: return "peer";
    case STATUS_NUMERIC: return "numeric";
    }
    return "unknown";
}
