#include "shard/transform.h"

#include "base/memory.h"

#include <stdlib.h>

const char *const transform_on_names[] = {"training", "evaluation", "both", NULL};

struct step {
    const struct transform_operations *operations;
    const void *options;
    uint32_t unit; /* place in the list as it is written, so that `on` moves no random number */
};

struct transform_chain {
    struct shape input, output;
    uint64_t seed;
    int count;
    struct step *steps;
};

struct transform_scratch {
    float *pixels, *other, *weights;
    size_t room;    /* numbers in pixels and in other */
    size_t longest; /* numbers in weights */
};

static bool is_used(const struct choice *choice, bool training) {
    int on = *(const int *)choice->values; /* the first member of every transform's options */
    return on == TRANSFORM_BOTH || (on == TRANSFORM_TRAINING) == training;
}

static status plan(struct transform_chain *chain, const struct choices *choices, bool training) {
    struct shape shape = chain->input;
    for (int i = 0; i < choices->count; i++) {
        const struct choice *choice = &choices->items[i];
        if (!is_used(choice, training)) {
            continue;
        }
        const struct transform_operations *operations =
            (const struct transform_operations *)choice->kind;
        status result = operations->plan(&shape, shape, choice->values);
        if (result != STATUS_OK) {
            char place[256];
            return choice->node == NULL
                       ? result
                       : status_prefix(result, "%s", node_place(choice->node, place, sizeof place));
        }
        chain->steps[chain->count++] = (struct step){operations, choice->values, (uint32_t)i};
    }
    if (shape.height == 0) {
        FAIL(STATUS_USAGE,
            "the pictures differ in size: a transform must make one size of them (resize to "
            "[height, width], center_crop, resized_crop) for %s",
            training ? "training" : "evaluation");
    }
    chain->output = shape;
    return STATUS_OK;
}

status transform_chain_create(struct transform_chain **chain, const struct choices *choices,
    bool training, struct shape input, uint64_t seed) {
    TRY(MEMORY_ALLOCATE(chain, 1));
    (*chain)->input = input;
    (*chain)->seed = seed;
    status result;
    TRY_TO(failed, result, MEMORY_ALLOCATE(&(*chain)->steps, (size_t)choices->count));
    TRY_TO(failed, result, plan(*chain, choices, training));
    return STATUS_OK;
failed:
    transform_chain_destroy(*chain);
    *chain = NULL;
    return result;
}

void transform_chain_destroy(struct transform_chain *chain) {
    if (chain != NULL) {
        free(chain->steps);
        free(chain);
    }
}

struct shape transform_chain_input(const struct transform_chain *chain) {
    return chain->input;
}

struct shape transform_chain_output(const struct transform_chain *chain) {
    return chain->output;
}

void transform_scratch_destroy(struct transform_scratch *scratch) {
    if (scratch != NULL) {
        free(scratch->pixels);
        free(scratch->other);
        free(scratch->weights);
        free(scratch);
    }
}

static int larger(int a, int b) {
    return a > b ? a : b;
}

/* What one picture needs on its way: a resampler holds the new height at the old width. */
static status measure(
    size_t *room, size_t *longest, const struct transform_chain *chain, struct shape shape) {
    *room = shape_elements(shape);
    *longest = (size_t)larger(shape.height, shape.width);
    for (int i = 0; i < chain->count; i++) {
        struct shape before = shape;
        TRY(chain->steps[i].operations->plan(&shape, before, chain->steps[i].options));
        struct shape both = {
            shape.channels, larger(shape.height, before.height), larger(shape.width, before.width)};
        if ((size_t)both.height > PICTURE_LIMIT / (size_t)both.width) {
            FAIL(STATUS_INPUT, "a picture of %dx%d to %dx%d needs more than %zu pixels on its way",
                before.width, before.height, shape.width, shape.height, PICTURE_LIMIT);
        }
        *room = shape_elements(both) > *room ? shape_elements(both) : *room;
        *longest = (size_t)larger((int)*longest, larger(both.height, both.width));
    }
    if (!shape_equal(shape, chain->output)) {
        FAIL(STATUS_INPUT, "a picture becomes %dx%dx%d, the others %dx%dx%d", shape.channels,
            shape.height, shape.width, chain->output.channels, chain->output.height,
            chain->output.width);
    }
    return STATUS_OK;
}

static status reserve(struct transform_scratch *scratch, size_t room, size_t longest) {
    if (room > scratch->room) {
        free(scratch->pixels);
        free(scratch->other);
        scratch->pixels = scratch->other = NULL;
        scratch->room = 0;
        TRY(MEMORY_ALLOCATE(&scratch->pixels, room));
        TRY(MEMORY_ALLOCATE(&scratch->other, room));
        scratch->room = room;
    }
    if (longest > scratch->longest) {
        free(scratch->weights);
        scratch->weights = NULL;
        scratch->longest = 0;
        TRY(MEMORY_ALLOCATE(&scratch->weights, longest));
        scratch->longest = longest;
    }
    return STATUS_OK;
}

status transform_scratch_create(
    struct transform_scratch **scratch, const struct transform_chain *chain) {
    TRY(MEMORY_ALLOCATE(scratch, 1));
    if (chain->input.height == 0) {
        return STATUS_OK; /* each picture will show what it needs */
    }
    size_t room, longest;
    status result;
    TRY_TO(failed, result, measure(&room, &longest, chain, chain->input));
    TRY_TO(failed, result, reserve(*scratch, room, longest));
    return STATUS_OK;
failed:
    transform_scratch_destroy(*scratch);
    *scratch = NULL;
    return result;
}

static void write_planar(float *out, const struct transform_picture *picture) {
    size_t pixels = (size_t)picture->shape.height * (size_t)picture->shape.width;
    size_t channels = (size_t)picture->shape.channels;
    for (size_t c = 0; c < channels; c++) {
        for (size_t i = 0; i < pixels; i++) {
            out[c * pixels + i] = picture->pixels[i * channels + c];
        }
    }
}

status transform_chain_apply(float *out, const struct picture *picture,
    const struct transform_chain *chain, struct transform_scratch *scratch, uint32_t epoch,
    uint32_t record) {
    struct shape shape = {picture->channels, picture->height, picture->width};
    size_t room, longest;
    status result = measure(&room, &longest, chain, shape);
    if (result != STATUS_OK) {
        return result == STATUS_USAGE ? STATUS_INPUT : result; /* this picture's fault */
    }
    TRY(reserve(scratch, room, longest));
    struct transform_picture work = {shape, scratch->pixels, scratch->other, scratch->weights};
    for (size_t i = 0; i < shape_elements(shape); i++) {
        work.pixels[i] = (float)picture->pixels[i];
    }
    for (int i = 0; i < chain->count; i++) {
        struct random_place place = {.seed = chain->seed,
            .purpose = RANDOM_TRANSFORM,
            .unit = chain->steps[i].unit,
            .time = epoch,
            .item = record};
        chain->steps[i].operations->apply(&work, chain->steps[i].options, &place);
    }
    write_planar(out, &work);
    return STATUS_OK;
}
