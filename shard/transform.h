/* Transforms change one picture on its way from record to batch: one file each in
 * shard/transforms/, registered in shard/transforms/list.c. Every transform takes `on: training |
 * evaluation | both` (random ones default to training, the others to both).
 *
 * What a transform does to a picture depends on (seed, epoch, record) alone: random numbers come
 * from random_block at the place handed in, never from anywhere else.
 */
#ifndef SHARD_TRANSFORM_H
#define SHARD_TRANSFORM_H

#include "base/options.h"
#include "base/random.h"
#include "base/shape.h"
#include "io/picture.h"

#include <stddef.h>

/* A picture between transforms: interleaved floats, 0 to 255 until `normalize` (which maps x to
 * (x / 255 - mean) / std). pixels[(y * width + x) * channels + c]. The two buffers have the room
 * of the largest shape of the chain; a transform that cannot work in place writes to `other` and
 * swaps. */
struct transform_picture {
    struct shape shape;
    float *pixels;
    float *other;
    float *weights; /* room of one number a pixel of the longest side, for shard/resample.h */
};

/* When a transform is used: the first option of each, made by TRANSFORM_ON, and the first member of
 * its struct of values, an int called `on`. */
enum transform_on { TRANSFORM_TRAINING, TRANSFORM_EVALUATION, TRANSFORM_BOTH };
extern const char *const transform_on_names[]; /* NULL-terminated */
#define TRANSFORM_ON(type, usual)                                                                  \
    {                                                                                              \
        "on", OPTION_NAME, offsetof(type, on), .initial = (usual), .names = transform_on_names,    \
                                               .flags = OPTION_CHANGES_BITS,                       \
                                               .help = "when it is used"                           \
    }

struct transform_operations {
    struct kind kind;
    /* Checks the options against an input shape (height = width = 0: any size) and gives the
     * output shape (0, 0 too where it depends on the picture). Fails with STATUS_USAGE. Is called
     * once for the whole and again for every picture. */
    status (*plan)(struct shape *output, struct shape input, const void *options);
    void (*apply)(
        struct transform_picture *picture, const void *options, const struct random_place *place);
};

extern const struct kind *const transforms[]; /* NULL-terminated */

/* A chain planned for one kind of use. `input` is the shape of the data set's pictures (height =
 * width = 0: many sizes); the last transforms must then make one size of them. Fails with
 * STATUS_USAGE, naming the place of the transform. `choices` is borrowed until destroy. */
struct transform_chain;
status transform_chain_create(struct transform_chain **chain, const struct choices *choices,
    bool training, struct shape input, uint64_t seed);
void transform_chain_destroy(struct transform_chain *chain);
struct shape transform_chain_input(const struct transform_chain *chain);
struct shape transform_chain_output(const struct transform_chain *chain);

/* Pixels through the chain into out[channels][height][width] (planar). `scratch` comes from
 * transform_scratch_create, one a thread. Fails with STATUS_INPUT where this picture cannot go
 * through (a crop larger than it is). */
struct transform_scratch;
status transform_scratch_create(
    struct transform_scratch **scratch, const struct transform_chain *chain);
void transform_scratch_destroy(struct transform_scratch *scratch);
status transform_chain_apply(float *out, const struct picture *picture,
    const struct transform_chain *chain, struct transform_scratch *scratch, uint32_t epoch,
    uint32_t record);

#endif
