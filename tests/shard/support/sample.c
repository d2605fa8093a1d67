#include "support/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

uint8_t sample_pixel(int64_t record, int y, int x, int channel) {
    return (uint8_t)(record * 37 + y * 11 + x * 5 + channel * 101 + (record * y * x) % 13);
}

int32_t sample_class(int64_t record) {
    return (int32_t)(record * 3 % SAMPLE_CLASSES);
}

static void fill(struct picture *picture, int64_t number, const struct sample *sample) {
    uint8_t *at = picture->pixels;
    for (int y = 0; y < sample->height; y++) {
        for (int x = 0; x < sample->width; x++) {
            for (int c = 0; c < sample->channels; c++) {
                *at++ = sample_pixel(number, y, x, c);
            }
        }
    }
}

static status add(
    struct dataset_writer *writer, struct picture *picture, int i, const struct sample *sample) {
    void *owned;
    struct record record = {.target = {.type = TARGET_CLASS, .class_number = sample_class(i)}};
    fill(picture, i, sample);
    TRY(record_encode(&record, &owned, picture, sample->encoding, 0));
    status result = dataset_writer_add(writer, &record, i % 2 == 0 ? picture : NULL);
    free(owned);
    return result;
}

status sample_write(const char *folder, const struct sample *sample) {
    const char *const names[SAMPLE_CLASSES] = {
        "plain", "with space", "qu\"ote", "back\\slash", "- dash: #", "gr\xc3\xbcn", "7"};
    struct dataset_writer_options options = {.shards = sample->shards,
        .format = "sample",
        .classes = SAMPLE_CLASSES,
        .class_names = names};
    struct picture picture = {sample->channels, sample->height, sample->width,
        calloc((size_t)(sample->height * sample->width), (size_t)sample->channels)};
    struct dataset_writer *writer;
    status result;
    TRY_TO(done, result, dataset_writer_create(&writer, folder, &options));
    for (int i = 0; i < sample->records && result == STATUS_OK; i++) {
        result = add(writer, &picture, i, sample);
    }
    if (result == STATUS_OK) {
        result = dataset_writer_commit(writer);
    }
    dataset_writer_destroy(writer);
done:
    free(picture.pixels);
    return result;
}

bool sample_matches(const struct record *record, int64_t number, const struct sample *sample) {
    struct picture picture, expected = {.channels = sample->channels};
    if (record->number != number || record->target.type != TARGET_CLASS ||
        record->target.class_number != sample_class(number) ||
        record_decode(&picture, record, 0) != STATUS_OK) {
        return false;
    }
    size_t size = (size_t)(sample->height * sample->width * sample->channels);
    expected.pixels = calloc(size, 1);
    fill(&expected, number, sample);
    bool same = picture.channels == sample->channels && picture.height == sample->height &&
                picture.width == sample->width &&
                memcmp(picture.pixels, expected.pixels, size) == 0;
    free(expected.pixels);
    picture_release(&picture);
    return same;
}

static FILE *open_file(const char *path, const char *mode) {
    FILE *file = fopen(path, mode);
    if (file == NULL) {
        perror(path);
        abort();
    }
    return file;
}

void *sample_file_read(size_t *size, const char *path) {
    FILE *file = open_file(path, "rb");
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*size + 1);
    if (fread(bytes, 1, *size, file) != *size) {
        abort();
    }
    fclose(file);
    ((char *)bytes)[*size] = '\0';
    return bytes;
}

void sample_file_write(const char *path, const void *bytes, size_t size) {
    FILE *file = open_file(path, "wb");
    if (fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        abort();
    }
}

const char *sample_path(const char *folder, const char *name) {
    static char buffers[512][512];
    static int next;
    char *buffer = buffers[next++ % 512];
    snprintf(buffer, sizeof buffers[0], "%s/%s", folder, name);
    return buffer;
}

int sample_run(char *text, size_t size, void (*child)(void *context), void *context) {
    int pipes[2];
    fflush(NULL);
    if (pipe(pipes) != 0) {
        abort();
    }
    pid_t process = fork();
    if (process == 0) {
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        close(pipes[1]);
        child(context);
        _exit(0);
    }
    close(pipes[1]);
    size_t used = 0;
    for (ssize_t got = 1; got > 0;) {
        got = read(pipes[0], text + used, size - 1 - used);
        used += got > 0 ? (size_t)got : 0;
    }
    text[used] = '\0';
    close(pipes[0]);
    int code;
    waitpid(process, &code, 0);
    return WIFEXITED(code) ? WEXITSTATUS(code) : -WTERMSIG(code);
}
