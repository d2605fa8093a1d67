/* Convolutions beside oneDNN's, in one process, taking turns.
 *
 *     bench_dnnl [--threads N] [--rounds N] [--cpu-time] < LAYERS
 *
 * A layer is a line: channels height width, output channels, kernel height width, stride, pad
 * height width, groups, pictures, and 1 where the input has no gradient (else 0). For each it
 * prints three numbers a direction (forward, backward-data, backward-weights; 0 0 0 where there is
 * none): milliseconds of Convoy, of oneDNN, and the median over the rounds of oneDNN's time by
 * Convoy's. oneDNN chooses all layouts itself, and no reorder is counted.
 */
#include "layer_case.h"

#include <dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS_LIMIT  99
#define ROUND_SECONDS 0.03 /* of a round, where one run takes less */

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != dnnl_success) {                                                              \
            fprintf(stderr, "bench_dnnl: %s failed\n", #call);                                     \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct line {
    struct convolution_shape shape;
    int pictures;
    bool first;
};

/* One direction of oneDNN: the primitive and its memory. */
struct peer {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t argument[3];
    dnnl_memory_t memory[3];
};

static dnnl_engine_t engine;
static dnnl_stream_t stream;
static clockid_t clock_used = CLOCK_MONOTONIC;

static double now(void) {
    struct timespec time;
    clock_gettime(clock_used, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof values[0], compare);
    return values[count / 2];
}

static void peer_take(struct peer *peer, int index, int name, const_dnnl_primitive_desc_t made,
    dnnl_query_t query, int number) {
    const dnnl_memory_desc_t *layout = dnnl_primitive_desc_query_md(made, query, number);
    CHECK(dnnl_memory_create(&peer->memory[index], layout, engine, DNNL_MEMORY_ALLOCATE));
    void *data;
    CHECK(dnnl_memory_get_data_handle(peer->memory[index], &data));
    memset(data, 0, dnnl_memory_desc_get_size(layout));
    peer->argument[index] = (dnnl_exec_arg_t){name, peer->memory[index]};
}

/* The layouts of all three directions are left to oneDNN. */
static void describe(dnnl_memory_desc_t layout[3], const struct line *line, struct shape output) {
    const struct convolution_shape *s = &line->shape;
    const dnnl_dims_t input = {line->pictures, s->input.channels, s->input.height, s->input.width};
    const dnnl_dims_t result = {line->pictures, output.channels, output.height, output.width};
    const dnnl_dims_t plain = {
        output.channels, s->input.channels, s->kernel_height, s->kernel_width};
    const dnnl_dims_t grouped = {s->groups, output.channels / s->groups,
        s->input.channels / s->groups, s->kernel_height, s->kernel_width};
    CHECK(dnnl_memory_desc_init_by_tag(&layout[0], 4, input, dnnl_f32, dnnl_format_tag_any));
    CHECK(dnnl_memory_desc_init_by_tag(&layout[1], s->groups > 1 ? 5 : 4,
        s->groups > 1 ? grouped : plain, dnnl_f32, dnnl_format_tag_any));
    CHECK(dnnl_memory_desc_init_by_tag(&layout[2], 4, result, dnnl_f32, dnnl_format_tag_any));
}

static void peer_init(struct peer peers[DIRECTIONS], const struct line *line, struct shape output) {
    const struct convolution_shape *s = &line->shape;
    const dnnl_dims_t strides = {s->stride_height, s->stride_width};
    const dnnl_dims_t pad = {s->pad_height, s->pad_width};
    /* What of the bottom and right padding the kernel reaches may be negative: rows unused. */
    const dnnl_dims_t pad_end = {
        (output.height - 1) * s->stride_height + s->kernel_height - s->input.height - pad[0],
        (output.width - 1) * s->stride_width + s->kernel_width - s->input.width - pad[1]};
    dnnl_memory_desc_t layout[3];
    dnnl_convolution_desc_t wanted;
    dnnl_primitive_desc_t made[DIRECTIONS];
    describe(layout, line, output);
    CHECK(dnnl_convolution_forward_desc_init(&wanted, dnnl_forward_training,
        dnnl_convolution_direct, &layout[0], &layout[1], NULL, &layout[2], strides, pad, pad_end));
    CHECK(dnnl_primitive_desc_create(&made[FORWARD], &wanted, NULL, engine, NULL));
    CHECK(dnnl_convolution_backward_data_desc_init(&wanted, dnnl_convolution_direct, &layout[0],
        &layout[1], &layout[2], strides, pad, pad_end));
    CHECK(dnnl_primitive_desc_create(&made[BACKWARD_DATA], &wanted, NULL, engine, made[FORWARD]));
    CHECK(dnnl_convolution_backward_weights_desc_init(&wanted, dnnl_convolution_direct, &layout[0],
        &layout[1], NULL, &layout[2], strides, pad, pad_end));
    CHECK(
        dnnl_primitive_desc_create(&made[BACKWARD_WEIGHTS], &wanted, NULL, engine, made[FORWARD]));
    static const struct {
        int name;
        dnnl_query_t query;
    } arguments[DIRECTIONS][3] = {
        {{DNNL_ARG_SRC, dnnl_query_src_md}, {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
            {DNNL_ARG_DST, dnnl_query_dst_md}},
        {{DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md}, {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
            {DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md}},
        {{DNNL_ARG_SRC, dnnl_query_src_md}, {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md},
            {DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md}},
    };
    for (int d = 0; d < DIRECTIONS; d++) {
        for (int i = 0; i < 3; i++) {
            peer_take(&peers[d], i, arguments[d][i].name, made[d], arguments[d][i].query, 0);
        }
        CHECK(dnnl_primitive_create(&peers[d].primitive, made[d]));
        CHECK(dnnl_primitive_desc_destroy(made[d]));
    }
}

static void peer_release(struct peer peers[DIRECTIONS]) {
    for (int d = 0; d < DIRECTIONS; d++) {
        CHECK(dnnl_primitive_destroy(peers[d].primitive));
        for (int i = 0; i < 3; i++) {
            CHECK(dnnl_memory_destroy(peers[d].memory[i]));
        }
    }
}

static void peer_run(const struct peer *peer) {
    CHECK(dnnl_primitive_execute(peer->primitive, stream, 3, peer->argument));
    CHECK(dnnl_stream_wait(stream));
}

/* Seconds of one run, over `times` runs. */
static double time_runs(
    struct layer_case *own, const struct peer *peer, enum direction direction, int times) {
    double start = now();
    for (int i = 0; i < times; i++) {
        if (peer != NULL) {
            peer_run(peer);
        } else {
            layer_case_run(own, direction);
        }
    }
    return (now() - start) / times;
}

static void measure(
    struct layer_case *own, const struct peer *peer, enum direction direction, int rounds) {
    double ours[ROUNDS_LIMIT], theirs[ROUNDS_LIMIT], ratio[ROUNDS_LIMIT];
    time_runs(own, NULL, direction, 1);
    time_runs(own, peer, direction, 1);
    int times = (int)(ROUND_SECONDS / time_runs(own, NULL, direction, 1)) + 1;
    for (int r = 0; r < rounds; r++) {
        ours[r] = time_runs(own, NULL, direction, times);
        theirs[r] = time_runs(own, peer, direction, times);
        ratio[r] = theirs[r] / ours[r];
    }
    printf(" %.4f %.4f %.4f", 1e3 * median(ours, rounds), 1e3 * median(theirs, rounds),
        median(ratio, rounds));
}

static status run_line(const struct line *line, int threads, int rounds) {
    enum cpu_isa isa;
    struct shape output;
    struct layer_case own;
    TRY(cpu_isa_choose(&isa));
    TRY(convolution_output(&output, &line->shape));
    status result =
        layer_case_init(&own, &line->shape, line->pictures, kernels_get(isa), WINOGRAD_ON, threads);
    if (result == STATUS_OK) {
        struct peer peers[DIRECTIONS];
        peer_init(peers, line, output);
        for (enum direction d = FORWARD; d < DIRECTIONS; d++) {
            if (line->first && d == BACKWARD_DATA) {
                printf(" 0 0 0");
            } else {
                measure(&own, &peers[d], d, rounds);
            }
        }
        putchar('\n');
        fflush(stdout);
        peer_release(peers);
    }
    layer_case_release(&own);
    return result;
}

static bool read_line(struct line *line) {
    int first, stride;
    struct convolution_shape *s = &line->shape;
    *line = (struct line){.shape = {.dilation_height = 1, .dilation_width = 1}};
    int count = scanf("%d%d%d%d%d%d%d%d%d%d%d%d", &s->input.channels, &s->input.height,
        &s->input.width, &s->output_channels, &s->kernel_height, &s->kernel_width, &stride,
        &s->pad_height, &s->pad_width, &s->groups, &line->pictures, &first);
    s->stride_height = s->stride_width = stride;
    line->first = first != 0;
    return count == 12;
}

int main(int count, char **arguments) {
    int threads = 1, rounds = 5;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--threads") == 0 && i + 1 < count) {
            threads = (int)strtol(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--rounds") == 0 && i + 1 < count) {
            rounds = (int)strtol(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--cpu-time") == 0) {
            clock_used = CLOCK_PROCESS_CPUTIME_ID;
        }
    }
    if (threads < 1 || rounds < 1 || rounds > ROUNDS_LIMIT) {
        fprintf(stderr, "bench_dnnl: threads and rounds must be at least 1, rounds at most %d\n",
            ROUNDS_LIMIT);
        return 2;
    }
    omp_set_num_threads(threads);
    CHECK(dnnl_engine_create(&engine, dnnl_cpu, 0));
    CHECK(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    struct line line;
    while (read_line(&line)) {
        if (run_line(&line, threads, rounds) != STATUS_OK) {
            fprintf(stderr, "bench_dnnl: %s\n", status_message());
            return 1;
        }
    }
    CHECK(dnnl_stream_destroy(stream));
    CHECK(dnnl_engine_destroy(engine));
    return 0;
}
