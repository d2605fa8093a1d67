/* Pooling, a stretch of one row at a time: the largest, or the mean, of each window. The bodies are
 * in pooling.inc; 16 channels a pixel, aligned to 64 bytes; strides in pixels unless they say
 * otherwise. Backward every input gathers from the outputs in whose windows it is, so that nothing
 * need be zero before.
 */
#ifndef WORKER_KERNELS_POOLING_H
#define WORKER_KERNELS_POOLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The taps of a window: rows x columns, neighbours. Their numbers, which only the largest of them
 * needs and which then are at most 255, rise by 1 and from a row to the next by tap_row. */
struct pooling_window {
    int rows, columns;
    ptrdiff_t row_stride; /* of the input, in floats */
    int tap, tap_row;
    int next_rows; /* below the window, fetched ahead for the next row of outputs */
};

/* The outputs in whose windows an input is: rows x columns of them, rows downwards and columns to
 * the left, and as which tap. */
struct pooling_reach {
    int rows, columns;
    ptrdiff_t row_stride;       /* of the output's gradient, in floats */
    ptrdiff_t place_row_stride; /* of the places, 16 a pixel; a share is one for all 16 */
    int tap, tap_row, tap_column;
    ptrdiff_t column_step; /* of the mean, if columns is 1: from an input's output to the next
                              one's, in floats; 0: all have the same */
    ptrdiff_t next; /* from an input's gradient to the one that is fetched ahead, in floats */
};

struct pooling_kernels {
    /* The largest of each of `pixels` windows, the first of which begins at `in` and the next ones
     * `stride` further each; in `place` the number of the tap that it was, the first of equals. Not
     * a number where one in the window is none or infinite. */
    void (*max)(float *out, uint8_t *place, const float *in, int stride,
        const struct pooling_window *window, int pixels);
    /* in_gradient[p * stride] = the gradients of those outputs that it was the largest for */
    void (*max_backward)(float *in_gradient, int stride, const float *out_gradient,
        const uint8_t *place, const struct pooling_reach *reach, int pixels);
    /* out[p] = the sum of window p, row by row, times share[p] */
    void (*mean)(float *out, const float *in, int stride, const struct pooling_window *window,
        const float *share, int pixels);
    /* in_gradient[p * stride] = the sum of the gradients of its outputs, each times its share;
     * `equal`: share points at the one that all have */
    void (*mean_backward)(float *in_gradient, int stride, const float *out_gradient,
        const float *share, bool equal, const struct pooling_reach *reach, int pixels);
};

#endif
