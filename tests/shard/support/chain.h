/* A chain of transforms from the text a recipe would have. */
#ifndef TESTS_SHARD_SUPPORT_CHAIN_H
#define TESTS_SHARD_SUPPORT_CHAIN_H

#include "shard/transform.h"

struct chain {
    struct document document;
    struct pool pool;
    struct choices choices;
    struct transform_chain *chain;
    struct transform_scratch *scratch;
};

/* `text` is a YAML list. After a failure only chain_release may be called. */
status chain_init(struct chain *chain, const char *text, bool training, struct shape input);
void chain_release(struct chain *chain);

#endif
