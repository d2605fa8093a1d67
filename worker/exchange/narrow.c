/* Half the bytes between nodes: bf16, with error feedback both ways, as Seide, Fu, Droppo, Li, Yu
 * 2014 ("1-bit stochastic gradient descent") exchange stripes; Karimireddy, Rebjock, Stich, Jaggi
 * 2019 show why what is fed back keeps the rate of plain descent.
 *
 * A column is cut into as many slices as there are nodes. A node adds to its sums what it has left
 * out so far (`residual`), rounds them, keeps the rest, and sends every slice to its owner, who
 * adds up what came in the order of nodes: rounded once, whatever the number of nodes. The owner
 * makes the results of its slice from results that are ahead of what the others have by `owed`; it
 * sends the rounded change, by which everyone moves, itself too, and owes the rest:
 *
 *     sum_n + residual_n  ->  bf16, the rest stays in residual_n                    (node n)
 *     results + owed      ->  made by the sum of these                              (owner)
 *     change of results   ->  bf16, the rest stays in owed                          (owner to all)
 *
 * A node rounds its own slice too, so that no bit depends on how columns and slices are cut. The
 * first `exact` elements of the vector, which are no gradient, go as they are.
 */
#include "worker/exchange/algorithm.h"
#include "worker/exchange/bf16.h"

enum phase { PHASE_REDUCE, PHASE_GATHER };

static struct range owned(const struct plan *plan, size_t size, int node) {
    return slice_range(size, plan->grain, node, plan->nodes);
}

static unsigned char *message_of(const struct column *column) {
    return (unsigned char *)(void *)column->scratch;
}

/* A message, or a part of it, for the elements [from, to) of a column: floats, then bf16. */
struct view {
    size_t from, middle, to;
    float *exact;     /* [middle - from] */
    uint16_t *narrow; /* [to - middle] */
};

static struct view view(const struct column *column, struct range range, unsigned char *message) {
    size_t middle = range.from > column->exact ? range.from : column->exact;
    middle = middle < range.to ? middle : range.to;
    return (struct view){range.from, middle, range.to, (float *)(void *)message,
        (uint16_t *)(void *)(message + (middle - range.from) * sizeof(float))};
}

static size_t view_size(const struct view *view) {
    return (view->middle - view->from) * sizeof(float) +
           (view->to - view->middle) * sizeof(uint16_t);
}

/* The part of the column's own message, in which all elements lie one after the other. */
static struct view part(const struct column *column, struct range range) {
    struct view before = view(column, (struct range){0, range.from}, message_of(column));
    return view(column, range, message_of(column) + view_size(&before));
}

static size_t max_exact(const struct plan *plan, size_t size) {
    return plan->exact < size ? plan->exact : size;
}

/* Room for the slice of one other node, in floats. */
static size_t slice_room(const struct plan *plan, size_t size) {
    size_t longest = (size / (size_t)plan->nodes / plan->grain + 2) * plan->grain;
    longest = longest < size ? longest : size;
    return (longest + max_exact(plan, size)) / 2 + 1;
}

static size_t column_room(const struct plan *plan, size_t size) {
    return (size + max_exact(plan, size)) / 2 + 1;
}

static void need(size_t *scratch, size_t *requests, const struct plan *plan, size_t size) {
    *scratch = column_room(plan, size) + (size_t)(plan->nodes - 1) * slice_room(plan, size);
    *requests = 2 * (size_t)plan->nodes;
}

/* The own slice as it came from a node. */
static struct view slice_from(const struct column *column, const struct plan *plan, int node) {
    struct range own = owned(plan, column->size, plan->node);
    if (node == plan->node) {
        return part(column, own);
    }
    size_t place = (size_t)(node < plan->node ? node : node - 1);
    float *first = column->scratch + column_room(plan, column->size);
    first += place * slice_room(plan, column->size);
    return view(column, own, (unsigned char *)(void *)first);
}

static void round_sums(struct column *column) {
    const float *sum = column->partial[0];
    struct view all = part(column, (struct range){0, column->size});
    vector_copy(all.exact, sum, all.middle);
    for (size_t i = all.middle; i < all.to; i++) {
        float wanted = sum[i] + column->residual[i];
        uint16_t narrow = bf16_of(wanted);
        all.narrow[i - all.middle] = narrow;
        column->residual[i] = wanted - bf16_value(narrow);
    }
}

static void add_slice(struct column *column, const struct view *slice, bool first) {
    float *sum = column->partial[0];
    for (size_t i = slice->from; i < slice->middle; i++) {
        float value = slice->exact[i - slice->from];
        sum[i] = first ? value : sum[i] + value;
    }
    for (size_t i = slice->middle; i < slice->to; i++) {
        float value = bf16_value(slice->narrow[i - slice->middle]);
        sum[i] = first ? value : sum[i] + value;
    }
}

/* The owner's results as they would be if nothing were owed; meanwhile `owed` holds those that all
 * nodes have. */
static void pay(struct column *column, const struct view *own) {
    for (size_t i = own->middle; i < own->to; i++) {
        float known = column->out[i];
        column->out[i] = known + column->owed[i];
        column->owed[i] = known;
    }
}

static void round_change(struct column *column, const struct view *own) {
    vector_copy(own->exact, column->out + own->from, own->middle - own->from);
    for (size_t i = own->middle; i < own->to; i++) {
        float known = column->owed[i], made = column->out[i];
        uint16_t narrow = bf16_of(made - known);
        own->narrow[i - own->middle] = narrow;
        column->out[i] = known + bf16_value(narrow);
        column->owed[i] = made - column->out[i];
    }
}

static void follow(struct column *column, const struct view *theirs) {
    vector_copy(column->out + theirs->from, theirs->exact, theirs->middle - theirs->from);
    for (size_t i = theirs->middle; i < theirs->to; i++) {
        column->out[i] += bf16_value(theirs->narrow[i - theirs->middle]);
    }
}

static status send(
    struct column *column, const struct plan *plan, int node, int phase, const struct view *view) {
    return column_send_bytes(column, plan, node, phase, view->exact, view_size(view));
}

static status receive(
    struct column *column, const struct plan *plan, int node, int phase, const struct view *view) {
    return column_receive_bytes(column, plan, node, phase, view->exact, view_size(view));
}

/* One request for each node, in their order, then the sends. */
static status start_reduce(struct column *column, const struct plan *plan) {
    for (int node = 0; node < plan->nodes; node++) {
        struct view slice = slice_from(column, plan, node);
        if (node == plan->node) {
            slice.to = slice.middle = slice.from; /* nothing comes */
        }
        TRY(receive(column, plan, node, PHASE_REDUCE, &slice));
    }
    for (int distance = 1; distance < plan->nodes; distance++) {
        int owner = (plan->node + distance) % plan->nodes;
        struct view theirs = part(column, owned(plan, column->size, owner));
        TRY(send(column, plan, owner, PHASE_REDUCE, &theirs));
    }
    return STATUS_OK;
}

static status reduce(struct column *column, const struct plan *plan, bool *done) {
    bool arrived = true;
    *done = plan->nodes == 1;
    if (*done) {
        return STATUS_OK;
    }
    if (!column->started) {
        column_add_up(column, plan);
        round_sums(column);
        TRY(start_reduce(column, plan));
        column->started = true;
    }
    while (arrived && column->added < plan->nodes) {
        TRY(column_test(column, plan, column->added + 1, &arrived));
        if (arrived) {
            struct view slice = slice_from(column, plan, column->added);
            add_slice(column, &slice, column->added++ == 0);
        }
    }
    if (arrived) {
        TRY(column_test(column, plan, column->request_count, done));
    }
    if (*done) {
        struct view own = slice_from(column, plan, plan->node);
        pay(column, &own);
    }
    return STATUS_OK;
}

static status start_gather(struct column *column, const struct plan *plan) {
    struct view own = slice_from(column, plan, plan->node);
    round_change(column, &own);
    column_reuse_requests(column);
    for (int distance = 1; distance < plan->nodes; distance++) {
        int to = (plan->node + distance) % plan->nodes;
        int from = (plan->node + plan->nodes - distance) % plan->nodes;
        struct view theirs = part(column, owned(plan, column->size, from));
        TRY(receive(column, plan, from, PHASE_GATHER, &theirs));
        TRY(send(column, plan, to, PHASE_GATHER, &own));
    }
    return STATUS_OK;
}

static status gather(struct column *column, const struct plan *plan, bool *done) {
    *done = plan->nodes == 1;
    if (*done) {
        return STATUS_OK;
    }
    if (!column->started) {
        TRY(start_gather(column, plan));
        column->started = true;
    }
    TRY(column_test(column, plan, column->request_count, done));
    for (int node = 0; node < plan->nodes && *done; node++) {
        if (node != plan->node) {
            struct view theirs = part(column, owned(plan, column->size, node));
            follow(column, &theirs);
        }
    }
    return STATUS_OK;
}

const struct algorithm algorithm_narrow = {need, reduce, gather, owned, false};
