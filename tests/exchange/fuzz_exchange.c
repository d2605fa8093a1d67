/* As many cases of the exchange as you have time for, with everything about them drawn: sizes,
 * bucket cuts, ranks and their nodes, delays of messages and of ranks, who moves it on, in float32
 * or bf16 between nodes. Each against the tree, or what bf16 makes of it, computed in one process.
 *
 *     fuzz_exchange [CASES [SEED]]
 *
 * The exit code is 1, and the command that repeats it is printed, where a bit is wrong; of a case
 * that hangs the last line names the seed.
 */
#include "cases.h"
#include "ranks.h"

#include <stdio.h>
#include <stdlib.h>

#define TOGETHER 10 /* cases on one transport, with nothing between them */

struct series {
    uint64_t seed;
    int count, leaves;
};

static uint64_t draw(uint64_t *state, uint64_t below) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (*state >> 33) % below;
}

static bool series_run(struct transport *transport, void *context) {
    const struct series *series = context;
    bool good = true;
    for (int i = 0; i < series->count && good; i++) {
        uint64_t state = series->seed + (uint64_t)i;
        struct exchange_case c = case_draw(state, transport->ranks, series->leaves);
        if (draw(&state, 4) == 0) {
            c.options.wire = EXCHANGE_BF16;
            c.options.exact = draw(&state, 2) * draw(&state, 1 + c.options.vector_size);
        }
        good = case_run(transport, &c);
    }
    return good;
}

/* Ranks, nodes and delays of `count` cases follow from the seed too. */
static bool run_series(uint64_t seed, int count, int *ranks) {
    const int most_of_a_node[] = {1, 2, 4, 16};
    uint64_t state = seed;
    const struct series series = {seed, count, 1 << draw(&state, 7)};
    const uint64_t most = series.leaves < 16 ? (uint64_t)series.leaves : 16;
    *ranks = 1 + (int)draw(&state, most);
    const struct ranks_nodes nodes =
        ranks_draw_nodes(draw(&state, 1u << 31), *ranks, most_of_a_node[draw(&state, 4)]);
    const uint64_t delays = draw(&state, 2) * (1 + draw(&state, 1u << 31));
    return ranks_run_on(&nodes, *ranks, delays, series_run, (void *)&series) == 0;
}

int main(int count, char **arguments) {
    const long cases = count > 1 ? strtol(arguments[1], NULL, 10) : 1000;
    uint64_t seed = count > 2 ? strtoull(arguments[2], NULL, 0) : 20261124;
    long with[17] = {0};
    for (long done = 0; done < cases; seed += TOGETHER) {
        const int together = cases - done < TOGETHER ? (int)(cases - done) : TOGETHER;
        int ranks;
        printf("\r%ld of %ld, seed %llu ", done, cases, (unsigned long long)seed);
        fflush(stdout);
        if (!run_series(seed, together, &ranks)) {
            printf("\nwrong: repeat by %s %d %llu\n", arguments[0], together,
                (unsigned long long)seed);
            return 1;
        }
        done += together;
        with[ranks] += together;
    }
    printf("\r%ld cases, no wrong bit. On 1, 2, ... 16 ranks:", cases);
    for (int ranks = 1; ranks <= 16; ranks++) {
        printf(" %ld", with[ranks]);
    }
    printf("\n");
    return 0;
}
