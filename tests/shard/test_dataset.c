#include "io/file.h"
#include "shard/dataset.h"
#include "support/sample.h"
#include "support/support.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096

static const struct sample small = {
    .records = 53, .shards = 4, .channels = 1, .height = 6, .width = 5};
/* Records that fill pages of their own, and ones that share them. */
static const struct sample large = {
    .records = 41, .shards = 2, .channels = 3, .height = 60, .width = 50};
static const struct sample packed = {
    .records = 300, .shards = 2, .channels = 3, .height = 20, .width = 10, .encoding = RECORD_ZLIB};

static int64_t progress_last;
static void progress(void *context, int64_t done, int64_t total) {
    (void)context;
    CU_ASSERT(done > progress_last && done <= total);
    progress_last = done;
}

static void check_round_trip(const struct sample *sample) {
    const char *folder = sample_path(test_folder(), "above/set");
    CU_ASSERT_EQUAL_FATAL(sample_write(folder, sample), STATUS_OK);
    struct dataset *dataset;
    CU_ASSERT_EQUAL_FATAL(dataset_open(&dataset, folder), STATUS_OK);
    const struct dataset_information *information = dataset_get_information(dataset);
    CU_ASSERT_EQUAL(information->records, sample->records);
    CU_ASSERT_EQUAL(information->shards, sample->shards);
    CU_ASSERT(shape_equal(
        information->shape, (struct shape){sample->channels, sample->height, sample->width}));
    CU_ASSERT_EQUAL(information->classes, SAMPLE_CLASSES);
    CU_ASSERT_STRING_EQUAL(information->class_names[2], "qu\"ote");
    CU_ASSERT_STRING_EQUAL(information->class_names[3], "back\\slash");
    CU_ASSERT_STRING_EQUAL(information->class_names[4], "- dash: #");
    CU_ASSERT_STRING_EQUAL(information->class_names[5], "gr\xc3\xbcn");
    CU_ASSERT_STRING_EQUAL(information->class_names[6], "7");
    int64_t counts[SAMPLE_CLASSES] = {0};
    for (int i = 0; i < sample->records; i++) {
        struct record record;
        CU_ASSERT_EQUAL_FATAL(dataset_read(&record, dataset, i), STATUS_OK);
        CU_ASSERT(sample_matches(&record, i, sample));
        counts[sample_class(i)]++;
    }
    CU_ASSERT_EQUAL(memcmp(counts, information->class_counts, sizeof counts), 0);
    progress_last = 0;
    CU_ASSERT_EQUAL(dataset_verify(dataset, progress, NULL), STATUS_OK);
    CU_ASSERT_EQUAL(progress_last, sample->records);
    struct record record;
    TEST_ASSERT_FAILS(dataset_read(&record, dataset, sample->records), "record");
    TEST_ASSERT_FAILS(dataset_read(&record, dataset, -1), "record -1");
    dataset_close(dataset);
}

static void test_dataset__gives_back_what_was_written(void) {
    check_round_trip(&small);
    check_round_trip(&large);
    check_round_trip(&packed);
    struct sample few = small;
    few.records = 3, few.shards = 16; /* shards without a record */
    check_round_trip(&few);
}

/* The map of a shard grows as it is written: more than its first 16 MiB. */
static void test_dataset__grows(void) {
    struct sample sample = {.records = 30, .shards = 1, .channels = 3, .height = 600, .width = 500};
    check_round_trip(&sample);
}

static void test_dataset__statistics_are_those_of_the_pixels(void) {
    const char *folder = sample_path(test_folder(), "set");
    CU_ASSERT_EQUAL_FATAL(sample_write(folder, &packed), STATUS_OK);
    struct dataset *dataset;
    CU_ASSERT_EQUAL_FATAL(dataset_open(&dataset, folder), STATUS_OK);
    const struct dataset_information *information = dataset_get_information(dataset);
    CU_ASSERT_EQUAL(information->mean_count, 3);
    for (int c = 0; c < 3; c++) {
        double count = (double)packed.records * packed.height * packed.width, mean = 0, square = 0;
        for (int pass = 0; pass < 2; pass++) {
            for (int i = 0; i < packed.records; i++) {
                for (int y = 0; y < packed.height; y++) {
                    for (int x = 0; x < packed.width; x++) {
                        double value = sample_pixel(i, y, x, c) / 255.0;
                        mean += pass == 0 ? value / count : 0;
                        square += pass == 1 ? (value - mean) * (value - mean) / count : 0;
                    }
                }
            }
        }
        CU_ASSERT(fabs(information->mean[c] - mean) < 1e-9);
        CU_ASSERT(fabs(information->deviation[c] - sqrt(square)) < 1e-9);
    }
    dataset_close(dataset);
}

static void test_dataset__digest_is_of_the_records_alone(void) {
    char digests[3][17];
    for (int i = 0; i < 3; i++) {
        struct sample sample = small;
        sample.shards = 1 << (2 * i);
        sample.width += i == 2;
        const char *folder = sample_path(test_folder(), "set");
        struct dataset *dataset;
        CU_ASSERT_EQUAL_FATAL(sample_write(folder, &sample), STATUS_OK);
        CU_ASSERT_EQUAL_FATAL(dataset_open(&dataset, folder), STATUS_OK);
        memcpy(digests[i], dataset_get_information(dataset)->digest, 17);
        dataset_close(dataset);
    }
    CU_ASSERT_STRING_EQUAL(digests[0], digests[1]);
    CU_ASSERT_STRING_NOT_EQUAL(digests[0], digests[2]);
}

static void test_dataset__a_shard_cut_anywhere_is_one_clear_error(void) {
    const char *folder = sample_path(test_folder(), "set");
    const char *path = sample_path(folder, "shard-00001.mdb");
    CU_ASSERT_EQUAL_FATAL(sample_write(folder, &large), STATUS_OK);
    size_t size;
    void *bytes = sample_file_read(&size, path);
    CU_ASSERT(size > 20 * PAGE);
    struct dataset *dataset;
    for (size_t page = 0; page < size / PAGE; page++) {
        const size_t cuts[] = {page * PAGE, page * PAGE + 40, page * PAGE + PAGE - 1};
        for (int i = 0; i < 3; i++) {
            sample_file_write(path, bytes, cuts[i]);
            TEST_ASSERT_FAILS(dataset_open(&dataset, folder), "shard-00001.mdb: the shard is cut");
        }
    }
    sample_file_write(path, bytes, size);
    CU_ASSERT_EQUAL(dataset_open(&dataset, folder), STATUS_OK);
    dataset_close(dataset);
    unlink(path);
    TEST_ASSERT_FAILS(dataset_open(&dataset, folder), "shard-00001.mdb");
    static const char foreign[4096] = "no data base at all";
    sample_file_write(path, foreign, sizeof foreign);
    TEST_ASSERT_FAILS(dataset_open(&dataset, folder), "shard-00001.mdb");
    free(bytes);
}

/* Reads all in a process that may die: 0 if all is as written, 3 after a clear failure. */
struct reading {
    const char *folder;
    const struct sample *sample;
};
static void read_all(void *context) {
    const struct reading *reading = context;
    struct dataset *dataset;
    status result = dataset_open(&dataset, reading->folder);
    for (int i = 0; result == STATUS_OK && i < reading->sample->records; i++) {
        struct record record;
        result = dataset_read(&record, dataset, i);
        if (result == STATUS_OK && !sample_matches(&record, i, reading->sample)) {
            fprintf(stderr, "record %d is another one", i);
            _exit(4);
        }
    }
    if (result != STATUS_OK) {
        fputs(status_message(), stderr);
        _exit(result == STATUS_INPUT ? 3 : 5);
    }
}

static void flip_bits(const struct sample *sample, int rounds) {
    const char *folder = sample_path(test_folder(), "set");
    const char *path = sample_path(folder, "shard-00000.mdb");
    CU_ASSERT_EQUAL_FATAL(sample_write(folder, sample), STATUS_OK);
    size_t size;
    unsigned char *bytes = sample_file_read(&size, path);
    struct reading reading = {folder, sample};
    char text[2048];
    int found = 0;
    CU_ASSERT_EQUAL(sample_run(text, sizeof text, read_all, &reading), 0);
    for (int round = 0; round < rounds; round++) {
        /* Every second one in what LMDB itself reads: the head of a page. */
        size_t page = (size_t)test_random_between(0, (int)(size / PAGE) - 1) * PAGE;
        size_t at = page + (size_t)test_random_between(0, round % 2 == 0 ? 151 : PAGE - 1);
        unsigned char bit = (unsigned char)(1 << test_random_between(0, 7));
        bytes[at] ^= bit;
        sample_file_write(path, bytes, size);
        bytes[at] ^= bit;
        int code = sample_run(text, sizeof text, read_all, &reading);
        bool clear = code == 0 || ((code == 3 || code == 1) && strstr(text, "shard-00000") != NULL);
        if (!clear) {
            printf("\n  bit %d of byte %zu of %zu: %d: %s\n", bit, at, size, code, text);
        }
        CU_ASSERT(clear);
        found += code != 0;
    }
    CU_ASSERT(found > rounds / 4);
    free(bytes);
}

static void test_dataset__flipped_bits_are_found_or_harmless(void) {
    flip_bits(&large, 40);
    flip_bits(&packed, 60);
}

/* Single bits of the keys and of the numbers of pages that they lead to: none may lead to another
 * sound record. */
static void test_dataset__a_damaged_index_leads_to_no_other_record(void) {
    const char *folder = sample_path(test_folder(), "set");
    const char *path = sample_path(folder, "shard-00000.mdb");
    struct sample sample = large;
    sample.records = 16;
    CU_ASSERT_EQUAL_FATAL(sample_write(folder, &sample), STATUS_OK);
    size_t size;
    unsigned char *bytes = sample_file_read(&size, path);
    struct reading reading = {folder, &sample};
    char text[2048];
    /* The leaf page: flags 2 in its head; nodes of 8 bytes key and 8 bytes page number. */
    size_t leaf = 2 * PAGE;
    while (leaf < size && bytes[leaf + 10] != 2) {
        leaf += PAGE;
    }
    CU_ASSERT_FATAL(leaf < size);
    int other = 0, ways = 0;
    for (int node = 1; node <= 4; node++) {
        for (int bit = 0; bit < 8; bit++) {
            /* A node has 24 bytes; at 15 ends its key, at 16 starts the number of its page. */
            size_t at = leaf + PAGE - 24 * (size_t)node + (bit < 4 ? 15 : 16);
            bytes[at] ^= (unsigned char)(1 << (bit % 4));
            sample_file_write(path, bytes, size);
            bytes[at] ^= (unsigned char)(1 << (bit % 4));
            int code = sample_run(text, sizeof text, read_all, &reading);
            CU_ASSERT(code == 1 || code == 3);
            other += strstr(text, "leads to record") != NULL;
            ways += code != 0;
        }
    }
    CU_ASSERT(ways > 0 && other > 0); /* the number in the record was what found it */
    free(bytes);
}

static void cut_while_open(void *context) {
    const char *folder = context;
    struct dataset *dataset;
    struct record record;
    if (dataset_open(&dataset, folder) != STATUS_OK ||
        dataset_read(&record, dataset, 0) != STATUS_OK ||
        truncate(sample_path(folder, "shard-00000.mdb"), 0) != 0) {
        _exit(9);
    }
    unsigned sum = 0;
    for (size_t i = 0; i < record.size; i++) {
        sum += ((const volatile unsigned char *)record.bytes)[i];
    }
    _exit(8 + (sum == 0));
}

static void cut_before_read(void *context) {
    const char *folder = context;
    struct dataset *dataset;
    struct record record;
    if (dataset_open(&dataset, folder) != STATUS_OK ||
        dataset_read(&record, dataset, 0) != STATUS_OK ||
        truncate(sample_path(folder, "shard-00000.mdb"), 0) != 0) {
        _exit(9);
    }
    dataset_read(&record, dataset, 2);
    _exit(8);
}

static void test_dataset__death_of_a_mapping_names_the_shard(void) {
    void (*const deaths[])(void *) = {cut_while_open, cut_before_read};
    for (int i = 0; i < 2; i++) {
        const char *folder = sample_path(test_folder(), "set");
        char text[2048];
        CU_ASSERT_EQUAL_FATAL(sample_write(folder, &large), STATUS_OK);
        CU_ASSERT_EQUAL(sample_run(text, sizeof text, deaths[i], (void *)(uintptr_t)folder), 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "shard-00000.mdb: the shard is damaged"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "SIGBUS"));
        CU_ASSERT_EQUAL(strchr(text, '\n'), text + strlen(text) - 1); /* one line */
    }
}

static void other_handler(int number) {
    _exit(number == SIGSEGV ? 42 : 43);
}
static void fault_elsewhere(void *context) {
    struct dataset *dataset;
    struct record record;
    signal(SIGSEGV, other_handler);
    if (dataset_open(&dataset, context) != STATUS_OK ||
        dataset_read(&record, dataset, 0) != STATUS_OK) {
        _exit(9);
    }
    raise(SIGSEGV);
    _exit(8);
}
static void fault_after_close(void *context) {
    struct dataset *dataset;
    struct record record;
    signal(SIGSEGV, other_handler);
    if (dataset_open(&dataset, context) != STATUS_OK ||
        dataset_read(&record, dataset, 0) != STATUS_OK) {
        _exit(9);
    }
    dataset_close(dataset);
    struct sigaction now;
    sigaction(SIGSEGV, NULL, &now);
    _exit(now.sa_handler == other_handler ? 42 : 8);
}
static void fault_for_real(void *context) {
    struct dataset *dataset;
    struct record record;
    signal(SIGSEGV, other_handler);
    if (dataset_open(&dataset, context) != STATUS_OK ||
        dataset_read(&record, dataset, 0) != STATUS_OK) {
        _exit(9);
    }
    volatile uintptr_t nowhere = 16; /* volatile, or gcc sees the fault coming and warns */
    *(volatile char *)nowhere = 1;
    _exit(8);
}

static void test_dataset__other_faults_reach_their_handler(void) {
    void (*const faults[])(void *) = {fault_elsewhere, fault_after_close, fault_for_real};
    const char *folder = sample_path(test_folder(), "set");
    CU_ASSERT_EQUAL_FATAL(sample_write(folder, &small), STATUS_OK);
    for (int i = 0; i < 3; i++) {
        char text[2048];
        CU_ASSERT_EQUAL(sample_run(text, sizeof text, faults[i], (void *)(uintptr_t)folder), 42);
        CU_ASSERT_STRING_EQUAL(text, "");
    }
}

/* dataset.yaml with one line replaced. */
static void write_line(const char *path, const char *yaml, const char *key, const char *line) {
    size_t size = strlen(yaml) + strlen(line) + 2;
    char *text = malloc(size);
    const char *from = strstr(yaml, key);
    CU_ASSERT_PTR_NOT_NULL_FATAL(from);
    const char *end = strchr(from + 1, '\n');
    snprintf(text, size, "%.*s%s%s", (int)(from - yaml), yaml, line, end);
    sample_file_write(path, text, strlen(text));
    free(text);
}

static void test_dataset__refuses_hostile_yaml(void) {
    const struct {
        const char *key, *line, *message;
    } cases[] = {{"\nrecords:", "\nrecords: -1", "records"},
        {"\nrecords:", "\nrecords: 18446744073709551617", "records"},
        {"\nrecords:", "\nrecords: 54", "dataset.yaml says"},
        {"\nrecords:", "\nrecords: [53]", "records"}, {"\nrecords:", "\nnothing: 53", "nothing"},
        {"\nshards:", "\nshards: 3", "power of two"}, {"\nshards:", "\nshards: 0", "shards"},
        {"\nshards:", "\nshards: 1073741824", "shards"}, {"\nshards:", "\nshards: 8", "shard-0000"},
        {"\nchannels:", "\nchannels: 2", "shape"}, {"\nheight:", "\nheight: 0", "no such shape"},
        {"\nheight:", "\nheight: 268435456", "no such shape"},
        {"\nmean:", "\nmean: [0.5, 0.5]", "2 and 1 numbers"}, {"\nmean:", "\nmean: .nan", "mean"},
        {"\nmean:", "\nmean: [1e300]", "mean"}, {"\ndeviation:", "\ndeviation: [-1]", "deviation"},
        {"\ndigest:", "\ndigest: 12", "digest"},
        {"\ndigest:", "\ndigest: \"0123456789abcdeg\"", "digest"},
        {"\nclasses:", "\nclasses: 1000000000000", "classes"},
        {"\nclasses:", "\nclasses: 6", "6 classes"},
        {"\nclass_counts:", "\nclass_counts: [8, 8, 8, 8, 7, 7, 8]", "add up to 54"},
        {"\nclass_counts:", "\nclass_counts: [0.5, 8, 8, 8, 7, 7, 7]", "no whole number"},
        {"\nversion:", "\nversion: 2", "version"}, {"\nversion:", "\n]", "dataset.yaml"}};
    const char *folder = sample_path(test_folder(), "set");
    const char *path = sample_path(folder, "dataset.yaml");
    CU_ASSERT_EQUAL_FATAL(sample_write(folder, &small), STATUS_OK);
    size_t size;
    char *yaml = sample_file_read(&size, path);
    struct dataset *dataset;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_line(path, yaml, cases[i].key, cases[i].line);
        CU_ASSERT_EQUAL(dataset_open(&dataset, folder), STATUS_INPUT);
        test_assert_message(cases[i].message, __FILE__, __LINE__);
        test_assert_message(folder, __FILE__, __LINE__);
    }
    sample_file_write(path, yaml, 0);
    TEST_ASSERT_FAILS(dataset_open(&dataset, folder), "dataset.yaml");
    /* A digest or counts that differ are found by reading all. */
    const char *const lies[][2] = {{"\ndigest:", "\ndigest: \"0123456789abcdef\""},
        {"\nclass_counts:", "\nclass_counts: [7, 8, 8, 8, 7, 7, 8]"}};
    for (int i = 0; i < 2; i++) {
        write_line(path, yaml, lies[i][0], lies[i][1]);
        CU_ASSERT_EQUAL_FATAL(dataset_open(&dataset, folder), STATUS_OK);
        TEST_ASSERT_FAILS(dataset_verify(dataset, NULL, NULL), "dataset.yaml says");
        dataset_close(dataset);
    }
    free(yaml);
}

/* Random edits of dataset.yaml: refused or read, never a crash. */
static void test_dataset__survives_mutated_yaml(void) {
    const char *folder = sample_path(test_folder(), "set");
    const char *path = sample_path(folder, "dataset.yaml");
    CU_ASSERT_EQUAL_FATAL(sample_write(folder, &small), STATUS_OK);
    size_t size;
    char *yaml = sample_file_read(&size, path);
    const char pool[] = "0123456789-.:[]{}\"'#\n &*!|>%@`eE\\\t\xff";
    int opened = 0;
    for (int round = 0; round < 1000; round++) {
        char *copy = malloc(size);
        memcpy(copy, yaml, size);
        for (int edit = test_random_between(1, 4); edit > 0; edit--) {
            copy[test_random_between(0, (int)size - 1)] =
                pool[test_random_between(0, (int)sizeof pool - 2)];
        }
        sample_file_write(
            path, copy, test_random() % 4 == 0 ? (size_t)test_random_between(0, (int)size) : size);
        struct dataset *dataset;
        status result = dataset_open(&dataset, folder);
        CU_ASSERT(result == STATUS_OK || result == STATUS_INPUT);
        if (result == STATUS_OK) {
            opened++;
            dataset_close(dataset);
        }
        free(copy);
    }
    CU_ASSERT(opened < 1000);
    free(yaml);
}

static void test_dataset__says_what_is_missing(void) {
    const char *above = test_folder();
    struct dataset *dataset;
    CU_ASSERT_EQUAL(dataset_open(&dataset, sample_path(above, "nothing")), STATUS_NOT_FOUND);
    test_assert_message("no such folder", __FILE__, __LINE__);
    TEST_ASSERT_FAILS(dataset_open(&dataset, above), "it has no dataset.yaml");
    CU_ASSERT_EQUAL_FATAL(sample_write(sample_path(above, "train"), &small), STATUS_OK);
    TEST_ASSERT_FAILS(dataset_open(&dataset, above), "/train?");
}

static int count_names(const char *path) {
    char **names;
    size_t count;
    CU_ASSERT_EQUAL_FATAL(folder_names(&names, &count, path), STATUS_OK);
    folder_names_release(names, count);
    return (int)count;
}

static void test_dataset_writer__leaves_nothing_behind(void) {
    const char *above = test_folder();
    const char *folder = sample_path(above, "a/b/set");
    struct dataset_writer_options options = {.shards = 4, .format = "sample", .classes = 2};
    struct dataset_writer *writer;
    const uint8_t pixel[4] = {0};
    struct record record = {.target = {.type = TARGET_CLASS, .class_number = 2},
        .shape = {1, 2, 2},
        .bytes = pixel,
        .size = 4};
    CU_ASSERT_EQUAL_FATAL(dataset_writer_create(&writer, folder, &options), STATUS_OK);
    TEST_ASSERT_FAILS(dataset_writer_add(writer, &record, NULL), "label 2: must be 0 to 1");
    TEST_ASSERT_FAILS(dataset_writer_commit(writer), "not one record");
    CU_ASSERT_FALSE(folder_exists(folder));
    CU_ASSERT_EQUAL(count_names(above), 1);
    dataset_writer_destroy(writer);
    CU_ASSERT_EQUAL(count_names(above), 0);
    options.shards = 3;
    TEST_ASSERT_FAILS(dataset_writer_create(&writer, folder, &options), "power of two");
    CU_ASSERT_EQUAL(count_names(above), 0);
}

static void die_writing(void *context) {
    struct dataset_writer_options options = {.shards = 4, .format = "sample", .classes = 2};
    struct dataset_writer *writer;
    static const uint8_t pixels[300 * 300];
    struct record record = {.shape = {1, 300, 300}, .bytes = pixels, .size = sizeof pixels};
    if (dataset_writer_create(&writer, context, &options) != STATUS_OK) {
        _exit(9);
    }
    for (int i = 0; i < 50; i++) {
        dataset_writer_add(writer, &record, NULL);
    }
    raise(SIGKILL);
}

static void test_dataset_writer__killed_half_way_shows_nothing(void) {
    const char *above = test_folder();
    const char *folder = sample_path(above, "set");
    char text[512];
    CU_ASSERT_EQUAL(
        sample_run(text, sizeof text, die_writing, (void *)(uintptr_t)folder), -SIGKILL);
    CU_ASSERT_FALSE(folder_exists(folder));
    CU_ASSERT_EQUAL(count_names(above), 1); /* what it was writing, under another name */
    CU_ASSERT_EQUAL(sample_write(folder, &small), STATUS_OK);
}

static void test_dataset_writer__replaces_only_data_sets(void) {
    const char *above = test_folder();
    const char *folder = sample_path(above, "set");
    struct dataset_writer_options options = {.shards = 1, .format = "sample"};
    struct dataset_writer *writer;
    const uint8_t pixel[1] = {77};
    struct record record = {.shape = {1, 1, 1}, .bytes = pixel, .size = 1};
    CU_ASSERT_EQUAL_FATAL(sample_write(folder, &small), STATUS_OK);
    TEST_ASSERT_FAILS(dataset_writer_create(&writer, folder, &options), "exists already");
    options.replace = true;
    sample_file_write(sample_path(folder, "notes.txt"), "mine", 4);
    TEST_ASSERT_FAILS(dataset_writer_create(&writer, folder, &options), "notes.txt");
    unlink(sample_path(folder, "notes.txt"));
    CU_ASSERT_EQUAL_FATAL(dataset_writer_create(&writer, folder, &options), STATUS_OK);
    CU_ASSERT_EQUAL(dataset_writer_add(writer, &record, NULL), STATUS_OK);
    struct dataset *dataset;
    CU_ASSERT_EQUAL_FATAL(dataset_open(&dataset, folder), STATUS_OK); /* the old one, whole */
    CU_ASSERT_EQUAL(dataset_get_information(dataset)->records, small.records);
    dataset_close(dataset);
    CU_ASSERT_EQUAL(dataset_writer_commit(writer), STATUS_OK);
    dataset_writer_destroy(writer);
    CU_ASSERT_EQUAL_FATAL(dataset_open(&dataset, folder), STATUS_OK);
    CU_ASSERT_EQUAL(dataset_get_information(dataset)->records, 1);
    CU_ASSERT_EQUAL(dataset_get_information(dataset)->class_names, NULL);
    dataset_close(dataset);
    CU_ASSERT_EQUAL(count_names(above), 1);
    CU_ASSERT_EQUAL(count_names(folder), 2);
    const char *foreign = sample_path(above, "empty.txt");
    sample_file_write(foreign, "", 0);
    TEST_ASSERT_FAILS(dataset_writer_create(&writer, foreign, &options), "is no folder");
}

TEST_MAIN("dataset", TEST(test_dataset__gives_back_what_was_written), TEST(test_dataset__grows),
    TEST(test_dataset__statistics_are_those_of_the_pixels),
    TEST(test_dataset__digest_is_of_the_records_alone),
    TEST(test_dataset__a_shard_cut_anywhere_is_one_clear_error),
    TEST(test_dataset__flipped_bits_are_found_or_harmless),
    TEST(test_dataset__a_damaged_index_leads_to_no_other_record),
    TEST(test_dataset__death_of_a_mapping_names_the_shard),
    TEST(test_dataset__other_faults_reach_their_handler), TEST(test_dataset__refuses_hostile_yaml),
    TEST(test_dataset__survives_mutated_yaml), TEST(test_dataset__says_what_is_missing),
    TEST(test_dataset_writer__leaves_nothing_behind),
    TEST(test_dataset_writer__killed_half_way_shows_nothing),
    TEST(test_dataset_writer__replaces_only_data_sets))
