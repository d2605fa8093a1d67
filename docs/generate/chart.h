/* A line chart as SVG: rates over steps, and a second, thinner curve where there is one. */
#ifndef DOCS_GENERATE_CHART_H
#define DOCS_GENERATE_CHART_H

#include <stdio.h>

struct chart {
    const char *title;
    int steps, steps_per_epoch;
    const double *rate;       /* [steps] */
    double highest;           /* rate at the top of the axis */
    const double *second;     /* [steps], or NULL; drawn to its own scale */
    const char *second_label; /* "validation loss" */
};

void chart_write(FILE *out, const struct chart *chart);

#endif
