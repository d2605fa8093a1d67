#include "base/digest.h"
#include "io/safetensors.h"
#include "support/support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const float weights[] = {0.5f, -1.25f, 3e-38f, 65504.0f, 0.1f, -0.0f};
static const int64_t steps[] = {INT64_MAX, -2};
static const uint8_t bytes[] = {0, 255, 7};
static const struct safetensors_entry entries[] = {
    {"net.weight", SAFETENSORS_F32, 2, {2, 3}, 24},
    {"net.\"odd\" n\xc3\xa4me", SAFETENSORS_U8, 1, {3}, 3},
    {"empty", SAFETENSORS_F32, 2, {0, 7}, 0},
    {"steps", SAFETENSORS_I64, 1, {2}, 16},
    {"scalar", SAFETENSORS_F32, 0, {0}, 4},
};
static const void *const contents[] = {weights, bytes, NULL, steps, &weights[1]};
enum { ENTRIES = sizeof entries / sizeof entries[0] };
static const struct safetensors_metadata metadata[] = {
    {"step", "12"}, {"format", "pt"}, {"recipe", "a: 1\n\"b\": \xe2\x82\xac\n"}};

static status fill(void *context, int index, void *out) {
    if (entries[index].size > 0) {
        memcpy(out, contents[index], entries[index].size);
    }
    ++*(int *)context;
    return STATUS_OK;
}

static char *path_in(const char *folder, const char *name) {
    char *path;
    CU_ASSERT_EQUAL_FATAL(path_join(&path, folder, name), STATUS_OK);
    return path;
}

static char *write_sample(const char *folder, const char *name) {
    char *path = path_in(folder, name);
    int calls = 0;
    status result = safetensors_write(path, entries, ENTRIES, metadata, 3, fill, &calls);
    CU_ASSERT_EQUAL_FATAL(result, STATUS_OK);
    CU_ASSERT_EQUAL(calls, 2 * ENTRIES);
    return path;
}

static void write_bytes(const char *path, const void *data, size_t size) {
    FILE *out = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    CU_ASSERT_EQUAL(fwrite(data, 1, size, out), size);
    CU_ASSERT_EQUAL(fclose(out), 0);
}

static void test_safetensors__reads_what_it_wrote(void) {
    char *path = write_sample(test_folder(), "a.safetensors");
    struct safetensors_file *file;
    CU_ASSERT_EQUAL_FATAL(safetensors_open(&file, path), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(safetensors_count(file), ENTRIES);
    for (int i = 0; i < ENTRIES; i++) {
        const struct safetensors_entry *entry = safetensors_at(file, i);
        unsigned char read[64] = {0};
        CU_ASSERT_STRING_EQUAL(entry->name, entries[i].name);
        CU_ASSERT_EQUAL(entry->type, entries[i].type);
        CU_ASSERT_EQUAL(entry->dimensions, entries[i].dimensions);
        CU_ASSERT_EQUAL(memcmp(entry->dimension, entries[i].dimension, sizeof entry->dimension), 0);
        CU_ASSERT_EQUAL(entry->size, entries[i].size);
        CU_ASSERT_EQUAL(safetensors_find(file, entries[i].name), i);
        CU_ASSERT_EQUAL(safetensors_read(file, i, read), STATUS_OK);
        if (entry->size > 0) {
            CU_ASSERT_EQUAL(memcmp(read, contents[i], entry->size), 0);
        }
    }
    CU_ASSERT_EQUAL(safetensors_find(file, "none"), -1);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_STRING_EQUAL(safetensors_metadata(file, metadata[i].key), metadata[i].value);
    }
    CU_ASSERT_PTR_NULL(safetensors_metadata(file, "none"));
    CU_ASSERT_EQUAL(safetensors_verify(file), STATUS_OK);
    safetensors_close(file);
    free(path);
}

static void test_safetensors__writes_the_same_bytes_for_the_same_content(void) {
    const char *folder = test_folder();
    char *one = write_sample(folder, "a.safetensors"), *two = path_in(folder, "b.safetensors");
    const struct safetensors_metadata turned[] = {metadata[2], metadata[0], metadata[1]};
    int calls = 0;
    CU_ASSERT_EQUAL_FATAL(
        safetensors_write(two, entries, ENTRIES, turned, 3, fill, &calls), STATUS_OK);
    void *first, *second;
    size_t first_size, second_size;
    CU_ASSERT_EQUAL_FATAL(file_read(&first, &first_size, one, 1 << 20), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(file_read(&second, &second_size, two, 1 << 20), STATUS_OK);
    CU_ASSERT_EQUAL(first_size, second_size);
    CU_ASSERT_EQUAL(memcmp(first, second, first_size), 0);
    /* The names in the order given. */
    const char *text = (const char *)first + 8;
    const char *place = memmem(text, first_size - 8, "\"net.weight\":", 13);
    CU_ASSERT_PTR_NOT_NULL_FATAL(place);
    CU_ASSERT_PTR_NOT_NULL(
        memmem(place, first_size - (size_t)(place - (char *)first), "\"empty\":", 8));
    free(first);
    free(second);
    free(one);
    free(two);
}

static void test_safetensors__tensors_begin_at_a_multiple_of_8(void) {
    char *path = path_in(test_folder(), "a.safetensors");
    char text[10] = "";
    for (int length = 0; length < 9; length++) {
        const struct safetensors_metadata one = {"k", text};
        int calls = 0;
        CU_ASSERT_EQUAL(
            safetensors_write(path, entries, ENTRIES, &one, 1, fill, &calls), STATUS_OK);
        unsigned char *data;
        size_t size;
        CU_ASSERT_EQUAL_FATAL(file_read((void **)&data, &size, path, 1 << 20), STATUS_OK);
        CU_ASSERT_EQUAL(data[0] % 8, 0);
        free(data);
        text[length] = 'x';
    }
    free(path);
}

static void test_safetensors__python_reads_the_same(void) {
    char *path = write_sample(test_folder(), "a.safetensors");
    char command[512], found[2048] = "";
    snprintf(command, sizeof command,
        "/usr/bin/python3 -X utf8 tests/io/read_safetensors.py '%s' 2>&1", path);
    if (access("/usr/bin/python3", X_OK) != 0) {
        printf("skipped: no /usr/bin/python3 ");
        free(path);
        return;
    }
    FILE *reader = popen(command, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
    size_t size = fread(found, 1, sizeof found - 1, reader);
    found[size] = '\0';
    CU_ASSERT_EQUAL(pclose(reader), 0);
    CU_ASSERT_STRING_EQUAL(found,
        "checksum -\nchecksum.empty -\nchecksum.net.\"odd\" n\xc3\xa4me -\nchecksum.net.weight -\n"
        "checksum.scalar -\nchecksum.steps -\n"
        "format pt\nrecipe a: 1\n\"b\": \xe2\x82\xac\n\nstep 12\n"
        "net.weight F32 [2, 3] 0.5 -1.25 3.000000085396614e-38 65504.0 0.10000000149011612 -0.0\n"
        "net.\"odd\" n\xc3\xa4me U8 [3] 0 255 7\n"
        "empty F32 [0, 7]\n"
        "steps I64 [2] 9223372036854775807 -2\n"
        "scalar F32 [] -1.25\n");
    free(path);
}

/* Opens and verifies; whatever is wrong must be STATUS_INPUT. */
static status check(const char *path) {
    struct safetensors_file *file;
    TRY(safetensors_open(&file, path));
    status result = safetensors_verify(file);
    safetensors_close(file);
    return result;
}

static void test_safetensors__notices_every_flipped_bit(void) {
    char *path = write_sample(test_folder(), "a.safetensors");
    unsigned char *data;
    size_t size;
    CU_ASSERT_EQUAL_FATAL(file_read((void **)&data, &size, path, 1 << 20), STATUS_OK);
    FILE *out = fopen(path, "r+b");
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    setbuf(out, NULL);
    int missed = 0;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        size_t place = bit / 8;
        fseek(out, (long)place, SEEK_SET);
        fputc(data[place] ^ (1 << (bit % 8)), out);
        missed += check(path) != STATUS_INPUT;
        fseek(out, (long)place, SEEK_SET);
        fputc(data[place], out);
    }
    CU_ASSERT_EQUAL(missed, 0);
    CU_ASSERT_EQUAL(check(path), STATUS_OK);
    fclose(out);
    free(data);
    free(path);
}

static void test_safetensors__notices_every_cut(void) {
    char *path = write_sample(test_folder(), "a.safetensors");
    void *data;
    size_t size;
    CU_ASSERT_EQUAL_FATAL(file_read(&data, &size, path, 1 << 20), STATUS_OK);
    int missed = 0;
    for (size_t cut = size; cut-- > 0;) {
        CU_ASSERT_EQUAL(truncate(path, (off_t)cut), 0);
        missed += check(path) != STATUS_INPUT;
    }
    CU_ASSERT_EQUAL(missed, 0);
    write_bytes(path, data, size);
    CU_ASSERT_EQUAL(check(path), STATUS_OK);
    CU_ASSERT_EQUAL(truncate(path, (off_t)size + 1), 0); /* too long is as wrong */
    CU_ASSERT_EQUAL(check(path), STATUS_INPUT);
    free(data);
    free(path);
}

static void test_safetensors__notices_a_file_cut_while_open(void) {
    char *path = write_sample(test_folder(), "a.safetensors");
    struct safetensors_file *file;
    CU_ASSERT_EQUAL_FATAL(safetensors_open(&file, path), STATUS_OK);
    CU_ASSERT_EQUAL(truncate(path, 600), 0);
    TEST_ASSERT_FAILS(safetensors_verify(file), "the file ends early");
    safetensors_close(file);
    free(path);
}

/* A file of this header and `data` zero bytes must be refused with this reason. */
static void refused(const char *header, size_t data, const char *reason) {
    static char *path;
    if (path == NULL) {
        path = path_in(test_folder(), "hostile.safetensors");
    }
    size_t size = strlen(header);
    unsigned char *all = calloc(8 + size + data, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(all);
    for (int i = 0; i < 8; i++) {
        all[i] = (unsigned char)((uint64_t)size >> (8 * i));
    }
    memcpy(all + 8, header, size);
    write_bytes(path, all, 8 + size + data);
    free(all);
    if (reason == NULL) {
        CU_ASSERT_EQUAL(check(path), STATUS_OK);
    } else {
        CU_ASSERT_EQUAL(check(path), STATUS_INPUT);
        test_assert_message(reason, header, 0);
    }
}

#define TENSOR(name, shape, from, to)                                                              \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

static void test_safetensors__reads_files_of_other_tools(void) {
    refused("{}", 0, NULL);
    refused("{" TENSOR("b", "[2]", "4", "12") "," TENSOR("a", "[1]", "0", "4") "}   ", 12, NULL);
    refused("{\"__metadata__\":{\"format\":\"pt\"}," TENSOR("a", "[]", "0", "4") "}", 4, NULL);
}

static void test_safetensors__refuses_offsets_that_do_not_fit(void) {
    refused("{" TENSOR("a", "[2]", "0", "8") "," TENSOR("b", "[2]", "4", "12") "}", 12,
        "tensor 'b' overlaps the one before it");
    refused("{" TENSOR("a", "[2]", "0", "8") "," TENSOR("b", "[2]", "0", "8") "}", 8,
        "tensor 'b' overlaps the one before it");
    refused("{" TENSOR("a", "[2]", "0", "8") "," TENSOR("b", "[0]", "4", "4") "}", 8,
        "tensor 'b' overlaps the one before it");
    refused("{" TENSOR("a", "[1]", "0", "4") "," TENSOR("b", "[1]", "8", "12") "}", 12,
        "tensor 'b' leaves a hole before it");
    refused("{" TENSOR("a", "[1]", "4", "8") "}", 8, "tensor 'a' leaves a hole before it");
    refused("{" TENSOR("a", "[1]", "0", "4") "}", 5, "the tensors have 4 bytes, the file has 5");
    refused("{}", 1, "the tensors have 0 bytes, the file has 1");
    refused("{" TENSOR("a", "[2]", "0", "8") "}", 7, "tensor 'a' ends past the end of the file");
    refused("{" TENSOR("a", "[2]", "0", "4") "}", 4, "tensor 'a' has offsets that do not fit");
    refused("{" TENSOR("a", "[1]", "4", "0") "}", 4, "not two rising whole numbers");
    refused("{" TENSOR("a", "[1]", "-4", "0") "}", 4, "not two rising whole numbers");
    refused("{" TENSOR("a", "[1]", "0", "4.0") "}", 4, "not two rising whole numbers");
    refused("{" TENSOR("a", "[1]", "0", "4,8") "}", 4, "not two rising whole numbers");
}

static void test_safetensors__refuses_dimensions_that_overflow(void) {
    refused("{" TENSOR("a", "[4294967296,4294967296]", "0", "0") "}", 0, "product is too large");
    refused("{" TENSOR("a", "[2305843009213693952,8]", "0", "0") "}", 0, "product is too large");
    refused("{" TENSOR("a", "[2305843009213693952]", "0", "0") "}", 0, "product is too large");
    refused("{" TENSOR("a", "[-1]", "0", "4") "}", 4, "no whole number of at least 0");
    refused("{" TENSOR("a", "[1.0]", "0", "4") "}", 4, "no whole number of at least 0");
    refused("{" TENSOR("a", "[\"1\"]", "0", "4") "}", 4, "no whole number of at least 0");
    refused("{" TENSOR("a", "[18446744073709551617]", "0", "4") "}", 4, "not JSON: too big");
    refused("{" TENSOR("a", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "more than 8 dimensions");
}

static void test_safetensors__refuses_headers_of_another_form(void) {
    refused("{" TENSOR("a", "[1]", "0", "4") "," TENSOR("a", "[1]", "0", "4") "}", 4,
        "not JSON: duplicate object key");
    refused("[]", 0, "it is no JSON object");
    refused(" {}", 0, "it is no JSON object");
    refused("{\"a\":1}", 0, "tensor 'a' is not {dtype, shape, data_offsets}");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[0]}}", 0, "is not {dtype, shape, data_offsets}");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":1}}", 0,
        "is not {dtype, shape, data_offsets}");
    refused("{\"a\":{\"dtype\":7,\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
        "is not {dtype, shape, data_offsets}");
    refused("{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
        "has the type F8_E4M3: only F32, I64 and U8 are known");
    refused("{\"__metadata__\":[]}", 0, "the metadata is no object");
    refused("{\"__metadata__\":{\"a\":1}}", 0, "the metadata key 'a' has no text");
    refused("{\"__metadata__\":{\"checksum.a\":\"0\"}}", 0, "checksums are missing");
    refused("{\"__metadata__\":{\"checksum\":\"0000000000000000\"}}", 0,
        "the checksum of its header differs");
    refused("{\"__metadata__\":{\"checksum\":\"0\"}}", 0, "the checksum of its header differs");
    refused("{\"a\xff\":1}", 0, "not JSON");
    refused("{\"a\\u0000\":1}", 0, "not JSON");
    refused("{} {}", 0, "not JSON");
    refused("{", 0, "it has only 9 bytes");
}

/* A header that is whole but lacks the checksum of a tensor. */
static void test_safetensors__refuses_some_checksums_without_the_others(void) {
    char header[512], digits[17];
    static const char *const form =
        "{\"__metadata__\":{\"checksum\":\"%s\"}," TENSOR("a", "[1]", "0", "4") "}";
    snprintf(header, sizeof header, form, "0000000000000000");
    digest_text(digest_bytes(header, strlen(header)), digits);
    snprintf(header, sizeof header, form, digits);
    refused(header, 4, "checksums are missing");
}

static void test_safetensors__refuses_deep_json(void) {
    size_t depth = 1000000;
    char *header = malloc(depth + 6);
    CU_ASSERT_PTR_NOT_NULL_FATAL(header);
    memcpy(header, "{\"a\":", 5);
    memset(header + 5, '[', depth);
    header[depth + 5] = '\0';
    refused(header, 0, "not JSON: maximum parsing depth reached");
    free(header);
}

static void test_safetensors__refuses_header_sizes_beyond_the_file(void) {
    static const struct {
        uint64_t size;
        const char *reason;
    } cases[] = {
        {(uint64_t)1 << 63, "claims a header of 9223372036854775808 bytes"},
        {UINT64_MAX, "claims a header of 18446744073709551615 bytes"},
        {UINT64_MAX - 7, "claims a header of 18446744073709551608 bytes"},
        {SAFETENSORS_HEADER_LIMIT + 1, "claims a header of 100000001 bytes"},
        {SAFETENSORS_HEADER_LIMIT, "goes past the end of the file"},
        {3, "goes past the end of the file"},
        {1, "claims a header of 1 bytes"},
        {0, "claims a header of 0 bytes"},
    };
    char *path = path_in(test_folder(), "a.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char data[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
        for (int byte = 0; byte < 8; byte++) {
            data[byte] = (unsigned char)(cases[i].size >> (8 * byte));
        }
        write_bytes(path, data, sizeof data);
        CU_ASSERT_EQUAL(check(path), STATUS_INPUT);
        test_assert_message(cases[i].reason, __FILE__, __LINE__);
    }
    /* A real header above the limit (a sparse file). */
    CU_ASSERT_EQUAL(truncate(path, (off_t)SAFETENSORS_HEADER_LIMIT + 1000), 0);
    CU_ASSERT_EQUAL(check(path), STATUS_INPUT);
    free(path);
}

static void test_safetensors__refuses_what_is_no_file(void) {
    const char *folder = test_folder();
    char *path = path_in(folder, "none.safetensors");
    struct safetensors_file *file;
    CU_ASSERT_EQUAL(safetensors_open(&file, path), STATUS_NOT_FOUND);
    CU_ASSERT_PTR_NULL(file);
    TEST_ASSERT_FAILS(safetensors_open(&file, folder), "is not a regular file");
    TEST_ASSERT_FAILS(safetensors_open(&file, "/dev/zero"), "is not a regular file");
    free(path);
}

static status unsteady(void *context, int index, void *out) {
    (void)index;
    memset(out, ++*(int *)context, 4);
    return STATUS_OK;
}

static status failing(void *context, int index, void *out) {
    (void)index, (void)out;
    if (++*(int *)context == 2) {
        FAIL(STATUS_PEER, "a rank is gone");
    }
    return STATUS_OK;
}

static void test_safetensors__writing_refuses_and_leaves_the_old_file(void) {
    const char *folder = test_folder();
    char *path = write_sample(folder, "a.safetensors");
    const struct safetensors_entry one = {"a", SAFETENSORS_F32, 1, {1}, 4};
    const struct safetensors_entry twice[] = {one, one};
    const struct safetensors_entry wrong = {"a", SAFETENSORS_F32, 1, {1}, 8};
    const struct safetensors_entry large = {"a", SAFETENSORS_F32, 2, {1ull << 40, 1ull << 40}, 0};
    const struct safetensors_entry binary = {"\xff", SAFETENSORS_F32, 1, {1}, 4};
    const struct safetensors_entry reserved = {"__metadata__", SAFETENSORS_F32, 1, {1}, 4};
    const struct safetensors_metadata taken = {"checksum.a", "x"};
    const struct safetensors_metadata same[] = {{"k", "1"}, {"k", "2"}};
    const struct safetensors_metadata latin = {"k", "\xe9"};
    int calls = 0;
    TEST_ASSERT_FAILS(safetensors_write(path, &wrong, 1, NULL, 0, fill, &calls),
        "the shape of tensor 'a' does not make 8 bytes");
    TEST_ASSERT_FAILS(
        safetensors_write(path, &large, 1, NULL, 0, fill, &calls), "the shape of tensor 'a'");
    TEST_ASSERT_FAILS(safetensors_write(path, twice, 2, NULL, 0, fill, &calls), "given twice");
    TEST_ASSERT_FAILS(safetensors_write(path, &binary, 1, NULL, 0, fill, &calls), "is not UTF-8");
    TEST_ASSERT_FAILS(safetensors_write(path, &reserved, 1, NULL, 0, fill, &calls), "given twice");
    TEST_ASSERT_FAILS(safetensors_write(path, &one, 1, &taken, 1, fill, &calls), "is taken");
    TEST_ASSERT_FAILS(safetensors_write(path, &one, 1, same, 2, fill, &calls), "given twice");
    TEST_ASSERT_FAILS(safetensors_write(path, &one, 1, &latin, 1, fill, &calls), "is not UTF-8");
    calls = 0;
    TEST_ASSERT_FAILS(safetensors_write(path, &one, 1, NULL, 0, unsteady, &calls),
        "tensor 'a' changed meanwhile");
    calls = 0;
    CU_ASSERT_EQUAL(safetensors_write(path, &one, 1, NULL, 0, failing, &calls), STATUS_PEER);
    CU_ASSERT_STRING_EQUAL(status_message(), "a rank is gone");
    CU_ASSERT_EQUAL(check(path), STATUS_OK);
    char **names;
    size_t count;
    CU_ASSERT_EQUAL_FATAL(folder_names(&names, &count, folder), STATUS_OK);
    CU_ASSERT_EQUAL(count, 1);
    folder_names_release(names, count);
    free(path);
}

TEST_MAIN("safetensors", TEST(test_safetensors__reads_what_it_wrote),
    TEST(test_safetensors__writes_the_same_bytes_for_the_same_content),
    TEST(test_safetensors__tensors_begin_at_a_multiple_of_8),
    TEST(test_safetensors__python_reads_the_same),
    TEST(test_safetensors__notices_every_flipped_bit), TEST(test_safetensors__notices_every_cut),
    TEST(test_safetensors__notices_a_file_cut_while_open),
    TEST(test_safetensors__reads_files_of_other_tools),
    TEST(test_safetensors__refuses_offsets_that_do_not_fit),
    TEST(test_safetensors__refuses_dimensions_that_overflow),
    TEST(test_safetensors__refuses_headers_of_another_form),
    TEST(test_safetensors__refuses_some_checksums_without_the_others),
    TEST(test_safetensors__refuses_deep_json),
    TEST(test_safetensors__refuses_header_sizes_beyond_the_file),
    TEST(test_safetensors__refuses_what_is_no_file),
    TEST(test_safetensors__writing_refuses_and_leaves_the_old_file))
