/* Random numbers by many, the very numbers of base/random.h. The bodies are in random.inc.
 */
#ifndef WORKER_KERNELS_RANDOM_H
#define WORKER_KERNELS_RANDOM_H

#include "base/random.h"

#include <stddef.h>

struct random_kernels {
    /* words[count] = the words of the blocks of `place` from number `block` on, four a block; any
     * count */
    void (*words)(uint32_t *words, const struct random_place *place, uint32_t block, size_t count);
    /* out[i] = random_uniform(words[i]); any count */
    void (*uniforms)(float *out, const uint32_t *words, size_t count);
    /* out[i], out[i + 1] = random_normal of words[i], words[i + 1]; an even count */
    void (*normals)(double *out, const uint32_t *words, size_t count);
};

#endif
