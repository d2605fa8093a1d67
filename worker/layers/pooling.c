#include "worker/layers/pooling.h"

#include "worker/handoff.h"

static status plan_axis(
    int *outputs, struct pooling *pooling, const struct layer *layer, int axis, int size) {
    static const char *const names[] = {"rows", "columns"};
    int kernel = pooling->kernel[axis], stride = pooling->stride[axis], pad = pooling->pad[axis];
    if (pad > kernel / 2) {
        LAYER_FAIL(
            layer, "pad %d is more than half of the %d %s of its kernel", pad, kernel, names[axis]);
    }
    int room = size + 2 * pad - kernel + (pooling->ceil ? stride - 1 : 0);
    if (room < 0) {
        LAYER_FAIL(layer, "a kernel of %d %s does not fit in %d with pad %d", kernel, names[axis],
            size, pad);
    }
    *outputs = room / stride + 1;
    if (pooling->ceil && (*outputs - 1) * stride >= size + pad) {
        *outputs -= 1;
    }
    return STATUS_OK;
}

status pooling_plan(struct pooling *pooling, struct layer *layer, const int64_t kernel[2],
    const int64_t stride[2], const int64_t pad[2], bool ceil) {
    struct shape shape = layer->input[0]->shape;
    int whole[2] = {shape.height, shape.width};
    *pooling = (struct pooling){.ceil = ceil};
    for (int axis = 0; axis < 2; axis++) {
        pooling->kernel[axis] = kernel[axis] > 0 ? (int)kernel[axis] : whole[axis];
        pooling->stride[axis] = stride[axis] > 0 ? (int)stride[axis] : pooling->kernel[axis];
        pooling->pad[axis] = (int)pad[axis];
    }
    TRY(plan_axis(&shape.height, pooling, layer, 0, whole[0]));
    TRY(plan_axis(&shape.width, pooling, layer, 1, whole[1]));
    layer->output[0]->shape = shape;
    return layer_check_output(layer);
}

status pooling_plan_adaptive(
    struct pooling *pooling, struct layer *layer, const int64_t outputs[2]) {
    static const char *const others[] = {
        "kernel", "stride", "pad", "ceil", "count_pad", "global", NULL};
    struct shape in = layer->input[0]->shape;
    int size[2] = {in.height, in.width};
    TRY(layer_refuse_beside(layer, "adaptive", others));
    *pooling = (struct pooling){.ceil = false};
    for (int axis = 0; axis < 2; axis++) {
        if (outputs[axis] < 1) {
            LAYER_FAIL(layer, "adaptive must be one or two numbers of at least 1, not %lldx%lld",
                (long long)outputs[0], (long long)outputs[1]);
        }
        int n = (int)outputs[axis];
        pooling->outputs[axis] = n;
        pooling->kernel[axis] = size[axis] > n ? size[axis] / n : 1;
        pooling->stride[axis] = pooling->kernel[axis];
    }
    layer->output[0]->shape = (struct shape){in.channels, (int)outputs[0], (int)outputs[1]};
    return layer_check_output(layer);
}

static int ratio_down(int64_t a, int64_t b, int64_t over) {
    return (int)(a * b / over);
}

static int ratio_up(int64_t a, int64_t b, int64_t over) {
    return (int)((a * b + over - 1) / over);
}

int pooling_begin(const struct pooling *pooling, int axis, int output, int size) {
    int n = pooling->outputs[axis];
    return n > 0 ? ratio_down(output, size, n)
                 : output * pooling->stride[axis] - pooling->pad[axis];
}

void pooling_taps(
    int *from, int *to, const struct pooling *pooling, int axis, int output, int size) {
    int n = pooling->outputs[axis], first = pooling_begin(pooling, axis, output, size);
    int taps = n > 0 ? ratio_up(output + 1, size, n) - first : pooling->kernel[axis];
    *from = first < 0 ? -first : 0;
    *to = size - first < taps ? size - first : taps;
    *to = *to > *from ? *to : *from;
}

/* The windows of an adaptive pool are those of one the other way, from outputs to inputs. */
void pooling_windows(
    int *from, int *to, const struct pooling *pooling, int axis, int input, int size, int outputs) {
    if (pooling->outputs[axis] > 0) {
        *from = ratio_down(input, outputs, size);
        *to = ratio_up(input + 1, outputs, size);
        return;
    }
    int stride = pooling->stride[axis], place = input + pooling->pad[axis];
    int before = place - pooling->kernel[axis]; /* the last place that reaches less far */
    *from = before < 0 ? 0 : before / stride + 1;
    *to = place / stride + 1 < outputs ? place / stride + 1 : outputs;
    *to = *to > *from ? *to : *from;
}

int pooling_cut_outputs(struct pooling_stretch *stretch, const struct pooling *pooling, int axis,
    int size, int outputs) {
    int stretches = 0, before = 0;
    for (int i = 0; i < outputs; i++) {
        int from, to, begin = pooling_begin(pooling, axis, i, size);
        struct pooling_stretch *last = &stretch[stretches > 0 ? stretches - 1 : 0];
        pooling_taps(&from, &to, pooling, axis, i, size);
        if (stretches > 0 && from == last->from && to == last->to &&
            begin == before + pooling->stride[axis]) {
            last->count++;
        } else {
            stretch[stretches++] = (struct pooling_stretch){i, 1, from, to};
        }
        before = begin;
    }
    return stretches;
}

/* Whether an input `stride` past the end of a stretch, in windows [from, to), goes on with it: the
 * windows have moved with it. */
static bool goes_on(const struct pooling_stretch *last, const struct pooling *pooling, int axis,
    int from, int to, int size) {
    int moved = last->count * pooling->stride[axis];
    return from == last->from + last->count && to == last->to + last->count &&
           pooling_begin(pooling, axis, from, size) ==
               pooling_begin(pooling, axis, last->from, size) + moved &&
           pooling_begin(pooling, axis, to - 1, size) ==
               pooling_begin(pooling, axis, last->to - 1, size) + moved;
}

int pooling_cut_inputs(struct pooling_stretch *stretch, const struct pooling *pooling, int axis,
    int size, int outputs) {
    int stretches = 0;
    for (int first = 0; first < pooling->stride[axis]; first++) {
        int begun = stretches;
        for (int i = first; i < size; i += pooling->stride[axis]) {
            int from, to;
            struct pooling_stretch *last = &stretch[stretches > 0 ? stretches - 1 : 0];
            pooling_windows(&from, &to, pooling, axis, i, size, outputs);
            if (stretches > begun && goes_on(last, pooling, axis, from, to, size)) {
                last->count++;
            } else {
                stretch[stretches++] = (struct pooling_stretch){i, 1, from, to};
            }
        }
    }
    return stretches;
}

static void each_row(const struct layer *layer, const struct layer_run *run, pooling_row *row,
    struct shape shape, int pictures, const struct epilogue *epilogue) {
    int blocks = shape_blocks(shape.channels);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pictures * blocks; i++) {
        for (int h = 0; h < shape.height; h++) {
            row(layer, run, i / blocks, i % blocks, h);
        }
        if (epilogue != NULL) {
            epilogue_block(epilogue, shape, i / blocks, i % blocks);
        }
    }
}

void pooling_forward(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, pooling_row *row) {
    each_row(layer, run, row, layer->output[0]->shape, pass->pictures, NULL);
}

void pooling_backward(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, pooling_row *row) {
    struct handoff handoff;
    if (layer->input[0]->gradient.data != NULL) {
        each_row(layer, run, row, layer->input[0]->shape, pass->pictures,
            handoff_gradient(&handoff, layer, run, pass));
    }
}
