// What the loops take and give; kernels.cpp has them, once for each instruction set.
//
// Arrays are dense float32, sizes are numbers of elements. Nothing here allocates but scratch memory of the calling thread,
// and nothing knows of ONNX Runtime.

#pragma once

#include <cstdint>

// A function that the library shows to those who load it.
#define SCS_EXPORT extern "C" __attribute__((visibility("default")))

namespace scs {

// Down, then across.
struct Window {
    int64_t size[2], stride[2], dilation[2], pad_before[2], pad_after[2];
};

// One layer: images x (N, C, H, W) and kernels w (K, C / group, kH, kW) to y (N, K, H', W').
struct Layer {
    int64_t images, channels, height, width;
    int64_t kernels, group;
    Window window;
    int pool;  // 1, or 2: of every 2x2 outputs only the largest is kept
    bool pool_by_magnitude;
    int64_t out_height, out_width;  // after pooling

    const float* exponents;  // (K,), p
    const float* gains;      // (K,), or null for ones; y is gain * similarity + bias
    const float* biases;     // (K,), or null for zeros
    float q;
    float unit;  // energies are sums of squares of x / unit, so that float32 holds those of large values
};

struct Kernels {
    const char* name;
    int lanes;

    // Kernels divided by their norm plus q, in the order in which `similarity` reads them.
    int64_t (*packed_size)(const Layer&);
    void (*pack)(const Layer&, const float* w, float* packed);

    // The layer, in parts that may run at the same time.
    int64_t (*similarity_jobs)(const Layer&);
    void (*similarity)(const Layer&, int64_t job, const float* x, const float* packed, float* y);

    // Sums of squares of every patch over the unit, over the channels of each of `group` groups: (N, group, H', W').
    int64_t (*energy_jobs)(const Layer&);
    void (*energy)(const Layer&, int64_t job, const float* x, float* energy);

    // From products of patches and kernels (K, plane) of one image, and energies (1 or K, plane), to similarities, of so
    // many pixels of the planes; y may be dot.
    void (*sharpen)(
        const Layer&, int64_t plane, int64_t first, int64_t pixels, bool own_energies, const float* dot,
        const float* energy, float* y
    );

    // Elementary functions of any values, for tests: see elementary.h.
    void (*log2)(int64_t count, const float* x, float* y);
    void (*exp2)(int64_t count, const float* x, float* y);
};

// The kernels for this processor: the best of those that were built and that it can run, or those that scs_choose_instruction_set named.
const Kernels& kernels();

}  // namespace scs
