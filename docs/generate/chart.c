#include "docs/generate/chart.h"

#include "base/number.h"

#define WIDTH  640
#define HEIGHT 240
#define LEFT   64
#define RIGHT  16
#define TOP    32
#define BOTTOM 40

#define RATE_COLOUR   "#1f6feb"
#define SECOND_COLOUR "#9a9a9a"

static double highest_of(const double *values, int count) {
    double highest = 0;
    for (int i = 0; i < count; i++) {
        highest = values[i] > highest ? values[i] : highest;
    }
    return highest;
}

static double x_of(double step, const struct chart *chart) {
    return LEFT + (WIDTH - LEFT - RIGHT) * step / chart->steps;
}

static double y_of(double value, double highest) {
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / highest;
}

static void write_line(FILE *out, double x1, double y1, double x2, double y2) {
    fprintf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#e0e0e0\"/>\n", x1,
        y1, x2, y2);
}

static void write_grid(FILE *out, const struct chart *chart) {
    for (int quarter = 0; quarter <= 4; quarter++) {
        char text[NUMBER_TEXT];
        double value = chart->highest * quarter / 4, y = y_of(value, chart->highest);
        write_line(out, LEFT, y, WIDTH - RIGHT, y);
        snprintf(text, sizeof text, "%.3g", value);
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 8, y + 4,
            text);
    }
    int epochs = chart->steps / chart->steps_per_epoch;
    for (int epoch = 0; epoch <= epochs; epoch += epochs > 10 ? 5 : 1) {
        double x = x_of((double)epoch * chart->steps_per_epoch, chart);
        write_line(out, x, TOP, x, HEIGHT - BOTTOM);
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", x,
            HEIGHT - BOTTOM + 16, epoch);
    }
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">epoch</text>\n",
        (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8);
}

static void write_curve(FILE *out, const struct chart *chart, const double *values, double highest,
    const char *colour, double width) {
    fprintf(out,
        "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"%.1f\" stroke-linejoin=\"round\" "
        "points=\"",
        colour, width);
    for (int i = 0; i < chart->steps; i++) {
        /* The middle one of three equal values adds nothing. */
        if (i > 0 && i + 1 < chart->steps && values[i] == values[i - 1] &&
            values[i] == values[i + 1]) {
            continue;
        }
        fprintf(out, "%s%.1f,%.1f", i > 0 ? " " : "", x_of(i, chart), y_of(values[i], highest));
    }
    fputs("\"/>\n", out);
}

void chart_write(FILE *out, const struct chart *chart) {
    fprintf(out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d "
        "%d\" font-family=\"sans-serif\" font-size=\"11\" fill=\"#404040\">\n",
        WIDTH, HEIGHT, WIDTH, HEIGHT);
    fprintf(out, "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", WIDTH, HEIGHT);
    fprintf(out, "<text x=\"%d\" y=\"18\" font-size=\"13\">%s</text>\n", LEFT, chart->title);
    write_grid(out, chart);
    if (chart->second != NULL) {
        write_curve(
            out, chart, chart->second, highest_of(chart->second, chart->steps), SECOND_COLOUR, 1);
        fprintf(out, "<text x=\"%d\" y=\"18\" text-anchor=\"end\" fill=\"%s\">grey: %s</text>\n",
            WIDTH - RIGHT, SECOND_COLOUR, chart->second_label);
    }
    write_curve(out, chart, chart->rate, chart->highest, RATE_COLOUR, 2);
    fputs("</svg>\n", out);
}
