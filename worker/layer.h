/* Layers: what each is made of, what it declares at planning, and what it does in a pass.
 *
 * A layer is one file in worker/layers/ (a container: worker/containers/) that exports one constant
 * struct layer_operations, registered by one line in worker/layers/list.c; tests/worker/reference/
 * must have its slow, obvious counterpart, or the tests fail.
 *
 * `plan` does everything that can fail (options, shapes) and declares what the layer will need;
 * memory is planned over all layers afterwards. `forward` and `backward` cannot fail, allocate
 * nothing, and must give the same bits for any number of threads: an output element is computed by
 * one thread in one order. Both touch only the pictures of the pass, never the borders, and leave
 * the lanes of padding channels zero.
 *
 * A container has `expand` in place of the three: at build time it adds plain layers to the graph.
 */
#ifndef WORKER_LAYER_H
#define WORKER_LAYER_H

#include "base/options.h"
#include "worker/net.h"
#include "worker/tensor.h"

#define LAYER_ENDS       16 /* inputs, and outputs, of one layer */
#define LAYER_PARAMETERS 4

struct convolution_kernels;
struct convolution_shape;
struct epilogue_run;
struct graph;
struct graph_scope;

/* An activation on its way from the one layer that makes it to the one that takes it; fan-out is a
 * layer of its own (fork). */
struct value {
    struct shape shape;
    int maker, taker;              /* numbers of layers; -1: the net's input, the net's output */
    bool wants_gradient;           /* something before it learns */
    struct tensor activation;      /* data is NULL until planned */
    struct tensor gradient;        /* data is NULL where no gradient is wanted */
    int storage, gradient_storage; /* worker/storage.h; -1: none */

    /* worker/recompute.h: */
    bool twice, needed;  /* made again for backward, which asks for it */
    struct value *first; /* as the first forward makes it; NULL: it is made once */
};

enum layer_flags {
    LAYER_NEEDS_INPUT = 1,       /* backward reads the activations of its inputs */
    LAYER_NEEDS_OUTPUT = 2,      /* backward reads the activations of its outputs */
    LAYER_IN_PLACE = 4,          /* output 0 may lie where input 0 does */
    LAYER_GRADIENT_IN_PLACE = 8, /* the gradient of input 0 may lie where that of output 0 does */
    LAYER_VIEW = 16,             /* outputs are the input's memory: forward has nothing to do */
    LAYER_GRADIENT_VIEW = 32,    /* gradients of the inputs are the output's: nothing to do */
    LAYER_CARRIES_ADD = 64,      /* can do the work of an add of its output that follows */
    LAYER_CARRIES_RELU = 128,    /* ... and of a relu */
    LAYER_JOINS = 256,           /* inputs may lie in the output, as its channel blocks, and their
                                    gradients in its gradient: what lies there is not copied */
    LAYER_KNOWS_SIGN = 512, /* carries a relu whose mask it works out from its input, backward */
    /* See worker/handoff.h: */
    LAYER_HANDS_OUTPUT = 1024,   /* forward hands its output on, run by run */
    LAYER_HANDS_GRADIENT = 2048, /* backward hands the gradient of input 0 on, run by run */
    LAYER_TAKES_GRADIENT = 4096, /* has use for take_gradient; any that carries a relu does, too */
};

/* What a layer may reckon with at planning. */
struct layer_plan {
    const struct kernels *kernels;
    enum engine_kernels engine;
    enum engine_winograd winograd;
    int threads;
    int pictures, leaves, leaf, smallest_leaf; /* as in struct net_options */
    bool training;
    bool batchnorm_sync; /* for every batch norm: the model's own word */
};

/* When it is at work: see worker/memory_plan.h. */
struct layer_times {
    int forward, again, backward;
};

struct layer {
    const struct layer_operations *operations;
    const void *options; /* the values of its table */
    const struct node *node;
    const char *name;
    struct graph *graph;
    int number;         /* place in the order of forward; keys dropout */
    bool training_only; /* an auxiliary head: not run in evaluation */
    int inputs, outputs;
    struct value *input[LAYER_ENDS], *output[LAYER_ENDS];

    /* Declared by plan: */
    int flags;              /* enum layer_flags */
    int input_border[2];    /* height, width that it reads around its inputs */
    int gradient_border[2]; /* ... and around the gradients of its outputs */
    size_t saved_bytes;     /* kept from forward to backward */
    size_t scratch_bytes;   /* used within forward, and within backward */
    size_t handed_bytes;    /* kept from take_input to forward, and from
                               take_gradient to backward */
    int batch_sums; /* numbers that it sums over the whole batch in forward, and again in backward
                       (pass_sum_batch); 0: none */
    int64_t multiply_adds;                       /* of forward, a picture */
    const struct convolution_kernels *kernels;   /* for inspect; NULL: it has none */
    const struct convolution_shape *convolution; /* for inspect; NULL: it is none */
    void *state;                                 /* its own; freed by operations->release */
    int parameters;
    struct parameter *parameter[LAYER_PARAMETERS];

    /* Set by worker/fusion.h: */
    const struct layer *carrier; /* the layer that does this one's work; NULL: itself */
    bool carried_forward_only;   /* backward it does itself */
    const struct value *addend;  /* what this one adds to its output; NULL: nothing */
    bool rectifies;              /* whether it then sets to 0 what is below */
    bool masks;                  /* whether its backward reads the result for that, and writes the
                                    gradient that is left to that of output[0] */
    const struct value *result;  /* where that goes: output[0] where it carries no layer */
    /* Who takes the output and the gradient of input 0 as they are made; from whom it takes its
     * own input and the gradient of its result so; NULL: nobody. */
    const struct layer *output_to, *gradient_to, *input_from, *gradient_from;

    /* Set by worker/recompute.h: */
    struct layer *first; /* what runs in the first forward in place of this one; NULL: itself */
    bool again;          /* this one runs again before its backward */

    struct layer_times time; /* set with the memory plan */
    void *saved;             /* given before the first pass */
};

/* The layer that does this one's work, and the one that runs in its place in the first forward. */
static inline const struct layer *layer_worker(const struct layer *layer) {
    return layer->carrier != NULL ? layer->carrier : layer;
}
static inline const struct layer *layer_first(const struct layer *layer) {
    return layer->first != NULL ? layer->first : layer;
}
/* Who takes the output of the layer as it is made, and who gives it its input so, at that time of
 * the step; NULL: nobody. */
static inline const struct layer *layer_output_taker(const struct layer *layer) {
    bool both = layer->output_to != NULL && (!layer->again || layer->output_to->again);
    return both ? layer->output_to : NULL;
}
static inline const struct layer *layer_input_giver(const struct layer *layer) {
    bool both = layer->input_from != NULL && (!layer->again || layer->input_from->again);
    return both ? layer->input_from : NULL;
}
/* In whose backward something is first done with the gradient of the layer's result: its own, or
 * that of the one that hands it on. */
static inline const struct layer *layer_gradient_giver(const struct layer *layer) {
    while (layer->gradient_from != NULL) {
        layer = layer->gradient_from;
    }
    return layer;
}

/* What a pass runs with; the same for all passes of a net. */
struct layer_run {
    const struct kernels *kernels;
    int threads;
    float *weights; /* the packed vector */
    void *scratch;  /* as many bytes as the layer declared, 64-byte aligned, undefined */
    void *handed_input, *handed_gradient; /* the same, of handed_bytes */
    const struct net_watch *watch;        /* NULL: nobody measures */
};

struct layer_operations {
    struct kind kind; /* first: layers[] points here; every options struct starts with its name */
    status (*plan)(struct layer *layer, const struct layer_plan *plan);
    void (*forward)(
        const struct layer *layer, const struct layer_run *run, const struct pass *pass);
    /* Writes the gradients of the inputs that have one (data not NULL), and to
     * pass->gradient[s] + offset of each parameter its sum over every subtree s, zeros where the
     * subtree has no pictures. */
    void (*backward)(
        const struct layer *layer, const struct layer_run *run, const struct pass *pass);
    /* What may be done with a run of rows of the input, and of the gradient of the result, as soon
     * as they are final: before forward and backward (which see layer_input_giver and
     * gradient_from), by any thread, each run once. NULL: nothing. */
    void (*take_input)(const struct layer *layer, const struct layer_run *run,
        const struct pass *pass, const struct epilogue_run *rows);
    void (*take_gradient)(const struct layer *layer, const struct layer_run *run,
        const struct pass *pass, const struct epilogue_run *rows);
    void (*release)(struct layer *layer); /* frees state; NULL: free() */
    /* Containers only. `scope` is the container's own. */
    status (*expand)(struct graph *graph, const struct graph_scope *scope, const void *options,
        const struct node *node);
};

/* The layers that containers make and no list can name. */
extern const struct layer_operations layer_fork;   /* one input, several outputs: the same */
extern const struct layer_operations layer_add;    /* the sum of two inputs */
extern const struct layer_operations layer_concat; /* channels of the inputs one after another */
/* What others can carry, beside layer_add. */
extern const struct layer_operations layer_relu;

/* Every table of options of a layer ends with this line, every struct starts with `const char
 * *name` (the first option of a table is what `kind: value` sets). */
#define LAYER_NAME_OPTION                                                                          \
    {                                                                                              \
        .name = "name", .type = OPTION_TEXT, .offset = 0, .flags = OPTION_CHANGES_BITS,            \
        .help = "name of the layer; without one it is named after its place"                       \
    }

/* Fails at the layer's line, naming it. */
#define LAYER_FAIL(layer, format, ...)                                                             \
    FAIL_AT((layer)->node, STATUS_USAGE, "layer %s: " format, (layer)->name, __VA_ARGS__)

/* Fails where an output's shape, as plan set it, does not fit (base/shape.h). Whoever adds a layer
 * calls it after plan; a plan that takes memory or works by the size of its output calls it first.
 */
status layer_check_output(const struct layer *layer);

/* Fails at the first of `others` (up to a NULL) that the file gives the layer though `option`,
 * which is set, leaves it nothing to say. */
status layer_refuse_beside(
    const struct layer *layer, const char *option, const char *const *others);

/* A parameter as a layer declares it. */
struct parameter_declaration {
    const char *suffix; /* "weight": the parameter is called <layer>.weight */
    enum parameter_kind kind;
    int dimensions;
    int64_t dimension[PARAMETER_DIMENSIONS];
    size_t packed; /* floats, a multiple of 16; 0: the elements in standard order, padded */
    void (*pack)(float *packed, const float *standard, const struct parameter *parameter);
    void (*unpack)(float *standard, const float *packed, const struct parameter *parameter);
    const void *packing;
    const struct choice *initialise; /* worker/initialise.h; NULL: `constant` */
    double constant;
    int64_t fan_in, fan_out; /* inputs and outputs an element connects, for initialisers */
    double momentum;         /* PARAMETER_STATISTIC */
};
status layer_declare(struct layer *layer, const struct parameter_declaration *declaration);

/* The layer's `index`-th parameter in the weights, and its places in the gradients of a pass:
 * out[s] for every subtree. */
float *layer_weights(const struct layer *layer, const struct layer_run *run, int index);
void layer_gradients(
    float *out[TREE_SUBTREES_LIMIT], const struct layer *layer, const struct pass *pass, int index);

/* Tells who measures that the layer's weights have their gradients, and what follows is the
 * gradient of its input. */
void layer_weights_done(const struct layer *layer, const struct layer_run *run);

/* An elementwise layer of one input and one output: the output's shape is the input's. */
void layer_plan_same(struct layer *layer, int flags);

/* A kernel over all rows of all channel blocks of the first `pictures` pictures, in parallel.
 * Shapes are equal, borders need not be. */
void layer_map(const struct tensor *out, const struct tensor *in, int pictures,
    void (*kernel)(float *out, const float *in, size_t count), const struct layer_run *run);
void layer_map_two(const struct tensor *out, const struct tensor *a, const struct tensor *b,
    int pictures, void (*kernel)(float *out, const float *a, const float *b, size_t count),
    const struct layer_run *run);
/* `take` for every run of rows of a shape, in parallel. */
void layer_each_run(const struct layer *layer, const struct layer_run *run, const struct pass *pass,
    struct shape shape,
    void (*take)(const struct layer *layer, const struct layer_run *run, const struct pass *pass,
        const struct epilogue_run *rows));
/* layer_map_two over one run of rows, by the calling thread. */
void layer_map_rows(const struct tensor *out, const struct tensor *a, const struct tensor *b,
    const struct epilogue_run *rows,
    void (*kernel)(float *out, const float *a, const float *b, size_t count));

#endif
