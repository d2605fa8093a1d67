#include "io/fuzz/target.h"

#include "io/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The first byte says how many bytes of tensors follow, the rest is the header. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    const size_t tail = data[0], header = size - 1;
    unsigned char *all = calloc(8 + header + tail, 1);
    char path[64];
    int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    if (all == NULL || descriptor < 0) {
        abort();
    }
    for (int i = 0; i < 8; i++) {
        all[i] = (unsigned char)((uint64_t)header >> (8 * i));
    }
    memcpy(all + 8, data + 1, header);
    if (write(descriptor, all, 8 + header + tail) != (ssize_t)(8 + header + tail)) {
        abort();
    }
    free(all);
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    struct safetensors_file *file;
    if (safetensors_open(&file, path) == STATUS_OK) {
        uint64_t bytes = 0;
        for (int i = 0; i < safetensors_count(file); i++) {
            bytes += safetensors_at(file, i)->size;
            if (safetensors_find(file, safetensors_at(file, i)->name) != i) {
                abort();
            }
        }
        if (bytes != tail) {
            abort();
        }
        (void)safetensors_verify(file); /* a wrong checksum is refused */
        safetensors_close(file);
    }
    close(descriptor);
    return 0;
}
