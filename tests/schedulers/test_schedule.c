#include "schedulers/schedule.h"
#include "support/support.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#define STEPS     600
#define PER_EPOCH 20
#define BATCH     1024

static struct pool pool;
static struct schedule_state state;

/* A schedule from its name and pairs of key and value, ended by NULL. A value "[a, b]" is a list of
 * two. */
static status make(struct choice *schedule, const char *name, ...) {
    static struct node nodes[64];
    int used = 0;
    struct node *options = &nodes[used++], *root = &nodes[used++];
    *options = (struct node){.kind = NODE_MAPPING, .key = name, .file = "r.yaml", .line = 4};
    *root = (struct node){.kind = NODE_MAPPING, .child = options, .file = "r.yaml", .line = 4};
    struct node **link = &options->child;
    va_list arguments;
    va_start(arguments, name);
    const char *key;
    while ((key = va_arg(arguments, const char *)) != NULL) {
        const char *value = va_arg(arguments, const char *);
        struct node *node = &nodes[used++];
        *node = (struct node){.kind = NODE_SCALAR, .key = key, .text = value, .file = "r.yaml"};
        char *comma = strchr(value, ',');
        if (value[0] == '[' && comma != NULL) {
            char *first, *second;
            pool_copy_text(&pool, &first, value + 1, (size_t)(comma - value) - 1);
            pool_copy_text(&pool, &second, comma + 2, strlen(comma + 2) - 1);
            node->kind = NODE_LIST;
            node->child = &nodes[used++];
            node->child->next = &nodes[used++];
            *node->child->next = (struct node){.kind = NODE_SCALAR, .text = second};
            *node->child =
                (struct node){.kind = NODE_SCALAR, .text = first, .next = node->child->next};
        }
        *link = node;
        link = &node->next;
    }
    va_end(arguments);
    TRY(options_parse_choice(schedule, schedules, root, "schedule", &pool));
    return schedule_check(schedule);
}

static double rate_at(const struct choice *schedule, int64_t step) {
    struct schedule_position position = {step, STEPS, PER_EPOCH, BATCH};
    return schedule_rate(schedule, &state, &position);
}

static bool is_near(double value, double expected) {
    return fabs(value - expected) <= 1e-14 * fabs(expected) + 5e-16;
}

/* Compares every step with a closed form in libm's double. */
#define ASSERT_RATES(schedule, form)                                                               \
    for (int64_t t = 0; t < STEPS; t++) {                                                          \
        double expected = (form);                                                                  \
        if (!is_near(rate_at(schedule, t), expected)) {                                            \
            printf("\n  step %d: %.17g, expected %.17g", (int)t, rate_at(schedule, t), expected);  \
            CU_FAIL_FATAL("rate differs");                                                         \
        }                                                                                          \
    }                                                                                              \
    CU_PASS("every rate")

static void test_schedule__constant(void) {
    struct choice schedule;
    CU_ASSERT_EQUAL_FATAL(make(&schedule, "constant", "rate", "0.25", NULL), STATUS_OK);
    ASSERT_RATES(&schedule, 0.25);
    /* "constant: 0.25" is the same. */
    struct node value = {.kind = NODE_SCALAR, .key = "constant", .text = "0.25"};
    struct node root = {.kind = NODE_MAPPING, .child = &value};
    CU_ASSERT_EQUAL_FATAL(
        options_parse_choice(&schedule, schedules, &root, "schedule", &pool), STATUS_OK);
    ASSERT_RATES(&schedule, 0.25);
}

static void test_schedule__step(void) {
    struct choice schedule;
    CU_ASSERT_EQUAL_FATAL(
        make(&schedule, "step", "rate", "0.1", "every_epochs", "7", "factor", "0.5", NULL),
        STATUS_OK);
    ASSERT_RATES(&schedule, 0.1 * pow(0.5, floor(floor(t / 20.0) / 7)));
    CU_ASSERT_EQUAL(rate_at(&schedule, 139), 0.1);
    CU_ASSERT_EQUAL(rate_at(&schedule, 140), 0.05);
    CU_ASSERT_EQUAL_FATAL(
        make(&schedule, "step", "rate", "3", "every_steps", "33", NULL), STATUS_OK);
    ASSERT_RATES(&schedule, 3 * pow(0.1, floor(t / 33.0)));
    TEST_ASSERT_FAILS(make(&schedule, "step", "rate", "3", NULL), "r.yaml:4:0: step: give either");
    TEST_ASSERT_FAILS(
        make(&schedule, "step", "rate", "3", "every_steps", "3", "every_epochs", "1", NULL),
        "give either every_epochs or every_steps");
}

static void test_schedule__multistep(void) {
    struct choice schedule;
    CU_ASSERT_EQUAL_FATAL(
        make(&schedule, "multistep", "rate", "0.1", "epochs", "[10, 22.5]", NULL), STATUS_OK);
    ASSERT_RATES(&schedule, t < 200 ? 0.1 : t < 450 ? 0.01 : 0.001);
    CU_ASSERT_EQUAL_FATAL(
        make(&schedule, "multistep", "rate", "0.1", "steps", "[1, 599]", "factor", "0.25", NULL),
        STATUS_OK);
    ASSERT_RATES(&schedule, t < 1 ? 0.1 : t < 599 ? 0.025 : 0.00625);
    TEST_ASSERT_FAILS(make(&schedule, "multistep", "rate", "1", "epochs", "[9, 9]", NULL),
        "must rise: 9 does not follow 9");
    TEST_ASSERT_FAILS(make(&schedule, "multistep", "rate", "1", NULL), "either epochs or steps");
}

static void test_schedule__exponential(void) {
    struct choice schedule;
    CU_ASSERT_EQUAL_FATAL(
        make(&schedule, "exponential", "rate", "0.2", "factor", "0.9", NULL), STATUS_OK);
    ASSERT_RATES(&schedule, 0.2 * pow(0.9, t / 20.0));
    CU_ASSERT_EQUAL_FATAL(
        make(&schedule, "exponential", "rate", "0.2", "factor", "0.9", "every_steps", "7", NULL),
        STATUS_OK);
    ASSERT_RATES(&schedule, 0.2 * pow(0.9, t / 7.0));
    TEST_ASSERT_FAILS(
        make(&schedule, "exponential", "rate", "1", "every_steps", "7", "every_epochs", "1", NULL),
        "not both");
}

static void test_schedule__inverse(void) {
    struct choice schedule;
    CU_ASSERT_EQUAL_FATAL(make(&schedule, "inverse", "rate", "0.01", NULL), STATUS_OK);
    ASSERT_RATES(&schedule, 0.01 * pow(1 + 0.0001 * t, -0.75));
    CU_ASSERT_EQUAL_FATAL(
        make(&schedule, "inverse", "rate", "0.01", "gamma", "0.5", "power", "2", NULL), STATUS_OK);
    ASSERT_RATES(&schedule, 0.01 / ((1 + 0.5 * t) * (1 + 0.5 * t)));
}

static void test_schedule__polynomial(void) {
    struct choice schedule;
    CU_ASSERT_EQUAL_FATAL(make(&schedule, "polynomial", "rate", "0.3", NULL), STATUS_OK);
    ASSERT_RATES(&schedule, 0.3 * (600 - t) / 600.0);
    CU_ASSERT_TRUE(rate_at(&schedule, STEPS - 1) > 0);
    CU_ASSERT_EQUAL(rate_at(&schedule, STEPS), 0);
    CU_ASSERT_EQUAL(rate_at(&schedule, STEPS + 5), 0);
    CU_ASSERT_EQUAL_FATAL(make(&schedule, "polynomial", "rate", "0.3", "power", "2", "floor", "0.1",
                              "over_epochs", "5", NULL),
        STATUS_OK);
    ASSERT_RATES(&schedule, t < 100 ? 0.1 + 0.2 * ((100 - t) / 100.0) * ((100 - t) / 100.0) : 0.1);
    TEST_ASSERT_FAILS(make(&schedule, "polynomial", "rate", "0.3", "floor", "0.4", NULL),
        "polynomial: the floor 0.4 is above the rate 0.3");
}

static void test_schedule__cosine(void) {
    struct choice schedule;
    CU_ASSERT_EQUAL_FATAL(
        make(&schedule, "cosine", "rate", "0.1", "floor", "0.001", NULL), STATUS_OK);
    ASSERT_RATES(&schedule, 0.001 + 0.099 * (1 + cos(acos(-1) * t / 600)) / 2);
    CU_ASSERT_EQUAL(rate_at(&schedule, STEPS), 0.001);
    CU_ASSERT_EQUAL(rate_at(&schedule, 2 * STEPS), 0.001); /* it does not rise again */
    CU_ASSERT_EQUAL_FATAL(
        make(&schedule, "cosine", "rate", "1", "restart_epochs", "3", NULL), STATUS_OK);
    ASSERT_RATES(&schedule, (1 + cos(acos(-1) * (t % 60) / 60.0)) / 2);
    CU_ASSERT_EQUAL(rate_at(&schedule, 60), 1);
    CU_ASSERT_TRUE(rate_at(&schedule, 59) < 0.001);
    /* Periods of 40, 80, 160, ... begin at 0, 40, 120, 280. */
    CU_ASSERT_EQUAL_FATAL(
        make(&schedule, "cosine", "rate", "1", "restart_steps", "40", "restart_factor", "2", NULL),
        STATUS_OK);
    ASSERT_RATES(&schedule, (1 + cos(acos(-1) * (t < 40       ? t / 40.0
                                                    : t < 120 ? (t - 40) / 80.0
                                                    : t < 280 ? (t - 120) / 160.0
                                                              : (t - 280) / 320.0))) /
                                2);
    TEST_ASSERT_FAILS(
        make(&schedule, "cosine", "rate", "1", "restart_factor", "2", NULL), "restart_factor");
}

static void test_schedule__one_cycle(void) {
    struct choice schedule;
    CU_ASSERT_EQUAL_FATAL(make(&schedule, "one_cycle", "rate", "2", "peak", "0.25", "start_factor",
                              "0.1", "end_factor", "0.01", "shape", "linear", NULL),
        STATUS_OK);
    ASSERT_RATES(&schedule, t < 150 ? 0.2 + 1.8 * t / 150 : 2 - 1.98 * (t - 150) / 450);
    CU_ASSERT_EQUAL(rate_at(&schedule, 150), 2);
    CU_ASSERT_TRUE(is_near(rate_at(&schedule, STEPS), 0.02));
    CU_ASSERT_TRUE(is_near(rate_at(&schedule, STEPS + 9), 0.02));
    CU_ASSERT_EQUAL_FATAL(make(&schedule, "one_cycle", "rate", "2", NULL), STATUS_OK);
    ASSERT_RATES(&schedule, t < 180 ? 1.04 - 0.96 * cos(acos(-1) * t / 180)
                                    : 1.000004 + 0.999996 * cos(acos(-1) * (t - 180) / 420));
    for (const char *peak = "01"; *peak != '\0'; peak++) {
        char text[2] = {*peak, '\0'};
        CU_ASSERT_EQUAL_FATAL(
            make(&schedule, "one_cycle", "rate", "2", "peak", text, NULL), STATUS_OK);
        for (int64_t t = 0; t <= STEPS; t++) {
            CU_ASSERT_TRUE(isfinite(rate_at(&schedule, t)));
        }
    }
}

/* Linear scaling: four times the rate for four times the batch, and a warm-up from the rate for the
 * reference to it; a batch of half the reference has half the rate from the start. */
static void test_schedule__rates_scale_with_the_batch(void) {
    struct choice schedule;
    CU_ASSERT_EQUAL_FATAL(make(&schedule, "constant", "rate", "0.1", "reference_batch", "256",
                              "warmup_steps", "100", NULL),
        STATUS_OK);
    CU_ASSERT_EQUAL(schedule_scale(&schedule, BATCH), 4);
    ASSERT_RATES(&schedule, t < 100 ? 0.1 + 0.3 * (double)(t + 1) / 100 : 0.4);
    CU_ASSERT_EQUAL_FATAL(make(&schedule, "cosine", "rate", "0.1", "floor", "0.01",
                              "reference_batch", "2048", "warmup_steps", "100", NULL),
        STATUS_OK);
    ASSERT_RATES(
        &schedule, 0.5 * (0.01 + 0.09 * (1 + cos(3.14159265358979323846 * (double)t / STEPS)) / 2));
    CU_ASSERT_EQUAL_FATAL(make(&schedule, "constant", "rate", "0.1", NULL), STATUS_OK);
    CU_ASSERT_EQUAL(schedule_scale(&schedule, BATCH), 1);
}

static void test_schedule__warmup_rises_on_every_schedule(void) {
    for (int i = 0; schedules[i] != NULL; i++) {
        const char *name = schedules[i]->name;
        const char *key = "rate", *value = "0.4"; /* something harmless said twice */
        if (strcmp(name, "step") == 0) {
            key = "every_epochs", value = "2";
        } else if (strcmp(name, "multistep") == 0) {
            key = "epochs", value = "4";
        }
        struct choice cold, warm;
        CU_ASSERT_EQUAL_FATAL(make(&cold, name, "rate", "0.4", key, value, NULL), STATUS_OK);
        CU_ASSERT_EQUAL_FATAL(
            make(&warm, name, "rate", "0.4", key, value, "warmup_steps", "50", NULL), STATUS_OK);
        for (int64_t t = 0; t < STEPS; t++) {
            double share = t < 50 ? (double)(t + 1) / 50 : 1;
            CU_ASSERT_TRUE(is_near(rate_at(&warm, t), share * rate_at(&cold, t)));
        }
        CU_ASSERT_EQUAL(rate_at(&warm, 49), rate_at(&cold, 49));
        CU_ASSERT_TRUE(rate_at(&warm, 48) < rate_at(&cold, 48));
    }
}

static void test_schedule__rates_are_pure_and_not_negative(void) {
    for (int i = 0; schedules[i] != NULL; i++) {
        const char *name = schedules[i]->name;
        bool epochs = strcmp(name, "step") == 0, list = strcmp(name, "multistep") == 0;
        struct choice schedule;
        CU_ASSERT_EQUAL_FATAL(make(&schedule, name, "rate", "0.1",
                                  epochs ? "every_epochs"
                                  : list ? "epochs"
                                         : NULL,
                                  "3", NULL),
            STATUS_OK);
        double forward[STEPS];
        for (int64_t t = 0; t < STEPS; t++) {
            forward[t] = rate_at(&schedule, t);
            CU_ASSERT_TRUE(forward[t] >= 0 && forward[t] <= 0.1);
        }
        for (int64_t t = STEPS - 1; t >= 0; t--) {
            CU_ASSERT_EQUAL(rate_at(&schedule, t), forward[t]);
        }
    }
}

static void observe(const struct choice *schedule, const char *metric, double value, int times) {
    for (int i = 0; i < times; i++) {
        schedule_observe(&state, schedule, metric, value);
    }
}

static void test_schedule__plateau_drops_when_progress_ends(void) {
    struct choice schedule;
    memset(&state, 0, sizeof state);
    CU_ASSERT_EQUAL_FATAL(make(&schedule, "plateau", "rate", "1", "factor", "0.5", "patience", "2",
                              "threshold", "0.1", "cooldown", "3", "floor", "0.2", NULL),
        STATUS_OK);
    CU_ASSERT_EQUAL(rate_at(&schedule, 0), 1);
    observe(&schedule, "accuracy", 0, 50); /* not what is watched */
    observe(&schedule, "loss", 10, 3);     /* the first is progress, two are borne */
    CU_ASSERT_EQUAL(rate_at(&schedule, 0), 1);
    observe(&schedule, "loss", 8.9, 1); /* progress */
    observe(&schedule, "loss", 8.5, 2); /* less than a tenth: none */
    CU_ASSERT_EQUAL(rate_at(&schedule, 0), 1);
    observe(&schedule, "loss", 8.5, 1);
    CU_ASSERT_EQUAL(rate_at(&schedule, 0), 0.5);
    observe(&schedule, "loss", 8.5, 3); /* cooling */
    observe(&schedule, "loss", 8.5, 2);
    CU_ASSERT_EQUAL(rate_at(&schedule, 0), 0.5);
    /* The state survives a checkpoint. */
    char text[256];
    schedule_state_text(text, sizeof text, &state);
    memset(&state, 0, sizeof state);
    CU_ASSERT_EQUAL(schedule_state_parse(&state, text), STATUS_OK);
    observe(&schedule, "loss", 8.5, 1);
    CU_ASSERT_EQUAL(rate_at(&schedule, 0), 0.25);
    observe(&schedule, "loss", 8.5, 6);
    CU_ASSERT_EQUAL(rate_at(&schedule, 0), 0.2); /* the floor */

    memset(&state, 0, sizeof state);
    CU_ASSERT_EQUAL_FATAL(
        make(&schedule, "plateau", "rate", "1", "metric", "accuracy", "patience", "0", NULL),
        STATUS_OK);
    observe(&schedule, "accuracy", 0, 1);
    observe(&schedule, "accuracy", 0.5, 1);
    CU_ASSERT_EQUAL(rate_at(&schedule, 0), 1);
    observe(&schedule, "accuracy", 0.4, 1);
    CU_ASSERT_TRUE(is_near(rate_at(&schedule, 0), 0.1));
    memset(&state, 0, sizeof state);
}

static void test_schedule__state_text_is_exact_and_checked(void) {
    struct schedule_state one, two;
    for (int i = 0; i < SCHEDULE_STATE_NUMBERS; i++) {
        one.number[i] = (i % 2 ? -1 : 1) * ldexp((double)test_random() / 3, -60 * i);
    }
    char text[256];
    schedule_state_text(text, sizeof text, &one);
    CU_ASSERT_TRUE(strlen(text) < 250);
    CU_ASSERT_EQUAL(schedule_state_parse(&two, text), STATUS_OK);
    CU_ASSERT_EQUAL(memcmp(&one, &two, sizeof one), 0);
    TEST_ASSERT_FAILS(schedule_state_parse(&two, "0x1p+0 0x1p+0"), "number 3 of 8 is missing");
    TEST_ASSERT_FAILS(schedule_state_parse(&two, ""), "number 1 of 8");
    TEST_ASSERT_FAILS(schedule_state_parse(&two, "0 0 0 0 0 0 0 nan"), "number 8 of 8");
    TEST_ASSERT_FAILS(schedule_state_parse(&two, "0 0 0 0 0 0 0 0 0"), "more than 8");
    CU_ASSERT_EQUAL(memcmp(&one, &two, sizeof one), 0);
}

static void test_schedule__every_option_changes_bits(void) {
    for (int i = 0; schedules[i] != NULL; i++) {
        const struct option *table = schedules[i]->options;
        CU_ASSERT_STRING_EQUAL(table[0].name, "rate");
        for (; table->name != NULL; table++) {
            CU_ASSERT_TRUE(table->flags & OPTION_CHANGES_BITS);
        }
    }
}

TEST_MAIN("schedule", TEST(test_schedule__constant), TEST(test_schedule__step),
    TEST(test_schedule__multistep), TEST(test_schedule__exponential), TEST(test_schedule__inverse),
    TEST(test_schedule__polynomial), TEST(test_schedule__cosine), TEST(test_schedule__one_cycle),
    TEST(test_schedule__warmup_rises_on_every_schedule),
    TEST(test_schedule__rates_scale_with_the_batch),
    TEST(test_schedule__rates_are_pure_and_not_negative),
    TEST(test_schedule__plateau_drops_when_progress_ends),
    TEST(test_schedule__state_text_is_exact_and_checked),
    TEST(test_schedule__every_option_changes_bits))
