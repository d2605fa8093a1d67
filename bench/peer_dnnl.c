#include "peer.h"

#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != dnnl_success) {                                                              \
            fprintf(stderr, "oneDNN: %s failed\n", #call);                                         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* One direction: what runs, and what it reads and writes. */
struct primitive {
    dnnl_primitive_t run;
    dnnl_exec_arg_t argument[3];
    dnnl_memory_t memory[3];
};

struct peer {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct primitive primitive[DIRECTIONS];
};

static void take_memory(
    struct peer *peer, struct primitive *primitive, int index, const dnnl_memory_desc_t *layout) {
    void *data;
    dnnl_memory_t *memory = &primitive->memory[index];
    CHECK(dnnl_memory_create(memory, layout, peer->engine, DNNL_MEMORY_ALLOCATE));
    CHECK(dnnl_memory_get_data_handle(*memory, &data));
    memset(data, 0, dnnl_memory_desc_get_size(layout));
    primitive->argument[index].memory = *memory;
}

/* Of input, weights and output: every layout is left to oneDNN. */
static void describe(dnnl_memory_desc_t layout[3], const struct convolution_shape *s,
    struct shape output, int pictures) {
    const dnnl_dims_t input = {pictures, s->input.channels, s->input.height, s->input.width};
    const dnnl_dims_t result = {pictures, output.channels, output.height, output.width};
    const dnnl_dims_t plain = {
        output.channels, s->input.channels, s->kernel_height, s->kernel_width};
    const dnnl_dims_t grouped = {s->groups, output.channels / s->groups,
        s->input.channels / s->groups, s->kernel_height, s->kernel_width};
    CHECK(dnnl_memory_desc_init_by_tag(&layout[0], 4, input, dnnl_f32, dnnl_format_tag_any));
    CHECK(dnnl_memory_desc_init_by_tag(&layout[1], s->groups > 1 ? 5 : 4,
        s->groups > 1 ? grouped : plain, dnnl_f32, dnnl_format_tag_any));
    CHECK(dnnl_memory_desc_init_by_tag(&layout[2], 4, result, dnnl_f32, dnnl_format_tag_any));
}

static void choose(dnnl_primitive_desc_t made[DIRECTIONS], const struct peer *peer,
    const struct convolution_shape *s, struct shape output, int pictures) {
    const dnnl_dims_t strides = {s->stride_height, s->stride_width};
    const dnnl_dims_t pad = {s->pad_height, s->pad_width};
    const dnnl_dims_t dilation = {
        s->dilation_height - 1, s->dilation_width - 1}; /* pixels between */
    /* What of the bottom and right padding the kernel reaches may be negative: rows unused. */
    const dnnl_dims_t pad_end = {(output.height - 1) * s->stride_height +
                                     (s->kernel_height - 1) * s->dilation_height + 1 -
                                     s->input.height - pad[0],
        (output.width - 1) * s->stride_width + (s->kernel_width - 1) * s->dilation_width + 1 -
            s->input.width - pad[1]};
    dnnl_memory_desc_t layout[3];
    dnnl_convolution_desc_t wanted;
    describe(layout, s, output, pictures);
    CHECK(dnnl_dilated_convolution_forward_desc_init(&wanted, dnnl_forward_training,
        dnnl_convolution_direct, &layout[0], &layout[1], NULL, &layout[2], strides, dilation, pad,
        pad_end));
    CHECK(dnnl_primitive_desc_create(&made[FORWARD], &wanted, NULL, peer->engine, NULL));
    const_dnnl_primitive_desc_t hint = made[FORWARD];
    CHECK(dnnl_dilated_convolution_backward_data_desc_init(&wanted, dnnl_convolution_direct,
        &layout[0], &layout[1], &layout[2], strides, dilation, pad, pad_end));
    CHECK(dnnl_primitive_desc_create(&made[BACKWARD_DATA], &wanted, NULL, peer->engine, hint));
    CHECK(dnnl_dilated_convolution_backward_weights_desc_init(&wanted, dnnl_convolution_direct,
        &layout[0], &layout[1], NULL, &layout[2], strides, dilation, pad, pad_end));
    CHECK(dnnl_primitive_desc_create(&made[BACKWARD_WEIGHTS], &wanted, NULL, peer->engine, hint));
}

struct peer *peer_create(const struct convolution_shape *shape, int pictures) {
    static const struct {
        int name;
        dnnl_query_t layout;
    } arguments[DIRECTIONS][3] = {
        {{DNNL_ARG_SRC, dnnl_query_src_md}, {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
            {DNNL_ARG_DST, dnnl_query_dst_md}},
        {{DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md}, {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
            {DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md}},
        {{DNNL_ARG_SRC, dnnl_query_src_md}, {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md},
            {DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md}},
    };
    struct shape output;
    dnnl_primitive_desc_t made[DIRECTIONS];
    struct peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL || convolution_output(&output, shape) != STATUS_OK) {
        fprintf(stderr, "oneDNN: no memory, or the shape does not fit\n");
        exit(1);
    }
    CHECK(dnnl_engine_create(&peer->engine, dnnl_cpu, 0));
    CHECK(dnnl_stream_create(&peer->stream, peer->engine, dnnl_stream_default_flags));
    choose(made, peer, shape, output, pictures);
    for (int d = 0; d < DIRECTIONS; d++) {
        struct primitive *primitive = &peer->primitive[d];
        for (int i = 0; i < 3; i++) {
            primitive->argument[i].arg = arguments[d][i].name;
            take_memory(peer, primitive, i,
                dnnl_primitive_desc_query_md(made[d], arguments[d][i].layout, 0));
        }
        CHECK(dnnl_primitive_create(&primitive->run, made[d]));
        CHECK(dnnl_primitive_desc_destroy(made[d]));
    }
    return peer;
}

void peer_destroy(struct peer *peer) {
    if (peer == NULL) {
        return;
    }
    for (int d = 0; d < DIRECTIONS; d++) {
        CHECK(dnnl_primitive_destroy(peer->primitive[d].run));
        for (int i = 0; i < 3; i++) {
            CHECK(dnnl_memory_destroy(peer->primitive[d].memory[i]));
        }
    }
    CHECK(dnnl_stream_destroy(peer->stream));
    CHECK(dnnl_engine_destroy(peer->engine));
    free(peer);
}

void peer_run(const struct peer *peer, enum direction direction) {
    CHECK(dnnl_primitive_execute(
        peer->primitive[direction].run, peer->stream, 3, peer->primitive[direction].argument));
    CHECK(dnnl_stream_wait(peer->stream));
}
