#include "support/chain.h"

#include "io/yaml.h"

#include <stdio.h>
#include <string.h>

#define CHAIN_SEED 77

static const struct option table[] = {
    {"transforms", OPTION_CHOICES, 0, .kinds = transforms, .help = "the chain"}, OPTIONS_END};

status chain_init(struct chain *chain, const char *text, bool training, struct shape input) {
    *chain = (struct chain){0};
    document_init(&chain->document);
    pool_init(&chain->pool);
    char whole[512];
    snprintf(whole, sizeof whole, "transforms: %s", text);
    struct node *root;
    TRY(yaml_parse(&chain->document, &root, whole, strlen(whole), "recipe.yaml"));
    TRY(options_parse(&chain->choices, table, root, &chain->pool));
    TRY(transform_chain_create(&chain->chain, &chain->choices, training, input, CHAIN_SEED));
    return transform_scratch_create(&chain->scratch, chain->chain);
}

void chain_release(struct chain *chain) {
    transform_scratch_destroy(chain->scratch);
    transform_chain_destroy(chain->chain);
    pool_release(&chain->pool);
    document_release(&chain->document);
}
