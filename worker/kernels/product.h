/* The register tiles: what the convolution driver calls, one table an instruction set. */
#ifndef WORKER_KERNELS_PRODUCT_H
#define WORKER_KERNELS_PRODUCT_H

struct product_kernels {
    int tile_pixels;
};

#endif
