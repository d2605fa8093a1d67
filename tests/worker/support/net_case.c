#include "support/net_case.h"

#include "io/yaml.h"
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

float net_case_normal(void) {
    float sum = 0; /* of twelve uniform numbers: about normal */
    for (int i = 0; i < 12; i++) {
        sum += (float)(test_random() >> 8) * 0x1p-24f;
    }
    return sum - 6.0f;
}

const struct node *net_case_parse(struct document *document, const char *model) {
    struct node *root = NULL;
    status result = yaml_parse(document, &root, model, strlen(model), "model.yaml");
    CU_ASSERT_EQUAL_FATAL(result, STATUS_OK);
    return root;
}

static void choose_loss(struct choice *choice, struct pool *pool) {
    static const struct node name = {.kind = NODE_SCALAR, .text = "cross_entropy"};
    status result = options_parse_choice(choice, losses, &name, "loss", pool);
    CU_ASSERT_EQUAL_FATAL(result, STATUS_OK);
}

status net_case_try(const char *model, const struct net_options *options) {
    struct document document;
    document_init(&document);
    static const struct net_options plain = {.pictures = 1, .leaves = 1, .leaf = 1, .threads = 1};
    struct net *net;
    status result =
        net_create(&net, net_case_parse(&document, model), options != NULL ? options : &plain);
    net_destroy(net);
    document_release(&document);
    return result;
}

/* Random weights that keep values in range; statistics as after some training. */
static void fill_weights(struct net *net) {
    for (int p = 0; p < net_parameter_count(net); p++) {
        const struct parameter *parameter = net_parameter(net, p);
        size_t elements = (size_t)parameter->elements;
        double inputs = (double)elements / (double)parameter->dimension[0];
        float *standard = malloc(elements * sizeof(float));
        for (size_t i = 0; i < elements; i++) {
            float x = net_case_normal();
            switch (parameter->kind) {
            case PARAMETER_WEIGHT: standard[i] = x * (float)sqrt(1.5 / inputs); break;
            case PARAMETER_BIAS: standard[i] = x * 0.3f; break;
            case PARAMETER_NORM: standard[i] = 1.0f + 0.3f * x; break;
            case PARAMETER_STATISTIC: standard[i] = 1.0f + 0.1f * fabsf(x); break;
            }
        }
        parameter_pack(net_weights(net), standard, parameter);
        free(standard);
    }
}

static void fill_pictures(struct net_case *c, int pictures) {
    size_t elements = (size_t)pictures * shape_elements(net_input_shape(c->net));
    c->pixels = malloc((elements + 1) * sizeof(float));
    for (size_t i = 0; i < elements; i++) {
        c->pixels[i] = net_case_normal();
    }
    c->targets = malloc(((size_t)pictures + 1) * sizeof *c->targets);
    int classes = net_output_shape(c->net).channels;
    for (int n = 0; n < pictures; n++) {
        c->targets[n] = (struct target){TARGET_CLASS, test_random_between(0, classes - 1)};
    }
}

static void fill_pass(struct net_case *c, const struct net_case_options *options) {
    for (int l = 0; l <= options->leaves; l++) {
        c->leaf_start[l] = (int)tree_leaf_start(options->pictures, options->leaves, l);
    }
    int subtrees = tree_cover(c->subtree, 0, options->leaves, options->limit);
    size_t size = net_vector_size(c->net);
    for (int s = 0; s < subtrees; s++) {
        c->gradient[s] = aligned_alloc(64, size * sizeof(float));
        for (size_t i = 0; i < size; i++) {
            c->gradient[s][i] = NAN;
        }
    }
    c->pass = (struct pass){
        .training = !options->evaluation,
        .seed = 7,
        .step = 3,
        .first_position = 32,
        .pictures = options->pictures,
        .leaves = options->leaves,
        .leaf_start = c->leaf_start,
        .subtrees = subtrees,
        .subtree = c->subtree,
        .gradient = c->gradient,
    };
}

void net_case_init(struct net_case *c, const char *model, const struct net_case_options *options) {
    memset(c, 0, sizeof *c);
    document_init(&c->document);
    pool_init(&c->pool);
    choose_loss(&c->loss, &c->pool);
    const struct net_options net_options = {
        .pictures = options->pictures + 1, /* room that is not used must not matter */
        .leaves = options->leaves,
        .leaf = options->pictures,
        .threads = options->threads,
        .training = !options->evaluation,
        .winograd = WINOGRAD_ON, /* as in training */
        .recompute = options->recompute,
        .unfused = options->unfused,
        .loss = &c->loss,
    };
    if (options->isa != NULL) {
        setenv("CONVOY_ISA", options->isa, 1);
    }
    status result = net_create(&c->net, net_case_parse(&c->document, model), &net_options);
    unsetenv("CONVOY_ISA");
    if (result != STATUS_OK) {
        CU_FAIL_FATAL("net_create failed");
    }
    /* Nobody may count on zeros: all bits set is not a number. */
    memset(c->net->arena.base, 0xff, c->net->arena.size);
    fill_weights(c->net);
    fill_pictures(c, options->pictures);
    fill_pass(c, options);
}

void net_case_release(struct net_case *c) {
    for (int s = 0; s < c->pass.subtrees; s++) {
        free(c->gradient[s]);
    }
    net_destroy(c->net);
    free(c->pixels);
    free(c->targets);
    pool_release(&c->pool);
    document_release(&c->document);
}

void net_case_copy(struct net_case *c, const struct net_case *from) {
    size_t pictures = (size_t)from->pass.pictures;
    memcpy(net_weights(c->net), net_weights(from->net), net_vector_size(c->net) * sizeof(float));
    memcpy(c->pixels, from->pixels,
        pictures * shape_elements(net_input_shape(c->net)) * sizeof(float));
    memcpy(c->targets, from->targets, pictures * sizeof *c->targets);
}

void net_case_run(struct net_case *c) {
    net_forward(c->net, &c->pass, c->pixels, c->targets);
    if (c->pass.training) {
        net_backward(c->net, &c->pass, NULL);
    }
}
