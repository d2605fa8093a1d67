#include "trainer/bench.h"

#include "trainer/version.h"

#include <stdio.h>
#include <stdlib.h>

clockid_t bench_clock_of(bool cpu_time) {
    return cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
}

double bench_clock(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

double bench_median(double *values, int count) {
    if (count < 1) {
        return 0.0;
    }
    qsort(values, (size_t)count, sizeof values[0], compare);
    return 0.5 * (values[(count - 1) / 2] + values[count / 2]);
}

json_t *bench_report(const struct job *job, const char *what, int threads) {
    enum cpu_isa isa = CPU_ISA_PORTABLE;
    (void)cpu_isa_choose(&isa); /* who measures has chosen before, or failed */
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "bench", what, "build", version_identity(),
        "processor", cpu_model(), "kernels", cpu_isa_name(isa), "ranks", job->ranks, "threads",
        threads);
}

void bench_print_json(json_t *report) {
    json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(report);
}

void bench_print_head(const json_t *report) {
    printf("%s, kernels %s, %lld ranks of %lld threads\n",
        json_string_value(json_object_get(report, "processor")),
        json_string_value(json_object_get(report, "kernels")),
        (long long)json_integer_value(json_object_get(report, "ranks")),
        (long long)json_integer_value(json_object_get(report, "threads")));
}
