/* How Convoy reports failure.
 *
 * A function that can fail returns a status. FAIL makes one and keeps one message for the thread;
 * TRY passes it up, adding the caller to the trace. Nothing below trainer/ prints or exits.
 * A message is one line: what is wrong, the value, the limit, and where ("recipe.yaml:7:5: ...").
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stddef.h>

typedef enum status {
    STATUS_OK = 0,
    STATUS_USAGE,     /* wrong use: command line or recipe; the program exits with 2 */
    STATUS_INPUT,     /* a file or record that is not what it must be */
    STATUS_NOT_FOUND, /* the thing asked for does not exist */
    STATUS_SYSTEM,    /* the system refused: disk full, permission, no memory */
    STATUS_PEER,      /* another rank failed, or the network did */
    STATUS_NUMERIC,   /* not-a-number or infinity where a finite value must be */
} status;

/* Fails with `code` and a printf-formatted message. FAIL returns from the function; FAIL_TO sets
 * `result` (a status variable) and jumps to `label`, for functions that own something. */
#define FAIL(code, ...) return status_fail((code), __FILE__, __LINE__, __func__, __VA_ARGS__)
#define FAIL_TO(label, result, code, ...)                                                          \
    do {                                                                                           \
        (result) = status_fail((code), __FILE__, __LINE__, __func__, __VA_ARGS__);                 \
        goto label;                                                                                \
    } while (0)

/* Calls; on failure adds this place to the trace and passes the status up (or jumps). */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        status try_status_ = (call);                                                               \
        if (try_status_ != STATUS_OK) {                                                            \
            return status_trace(try_status_, __FILE__, __LINE__, __func__);                        \
        }                                                                                          \
    } while (0)
#define TRY_TO(label, result, call)                                                                \
    do {                                                                                           \
        (result) = (call);                                                                         \
        if ((result) != STATUS_OK) {                                                               \
            status_trace((result), __FILE__, __LINE__, __func__);                                  \
            goto label;                                                                            \
        }                                                                                          \
    } while (0)

/* Records the message and starts a new trace; returns `code`. Use FAIL. */
status status_fail(status code, const char *file, int line, const char *function,
    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Adds one place to the trace; returns `code`. Use TRY. */
status status_trace(status code, const char *file, int line, const char *function);

/* Puts "`prefix`: " before the message, for a caller that knows the place (a file, a layer). */
status status_prefix(status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The message of this thread's last failure (one line, never NULL), and where it came from, one
 * "file:line function" a line. Both stay until the thread's next failure. */
const char *status_message(void);
const char *status_trace_text(void);

/* Carries a failure from one thread to another: copies at most `size` bytes of the message here,
 * and makes it the message there. */
void status_message_copy(char *message, size_t size);
status status_adopt(status code, const char *message);

/* "usage", "input", ...: for logs and JSON. */
const char *status_name(status code);

#endif
