// Sharpened cosine similarity of a layer. This file is compiled once for each instruction set; see
// models/onnx/native/build.py.
//
// A layer is computed a tile of outputs at a time (plan.h). What the tile sees of the images is copied to where it stays in
// the cache (patches.h). Products with six kernels at a time are kept in registers (products.h); norms, pooling, sharpening,
// gain and bias follow while they are at hand (sharpening.h). Sharpening rises with the cosine, so pooling comes first, and
// the power is taken of what is left.
//
// Those headers are included here alone: in one file the compiler sees through them all. No templates of the standard library
// are used in them: a linker might keep their copy for an instruction set that the processor lacks.

#include "kernels.h"

#include "elementary.h"
#include "patches.h"
#include "plan.h"
#include "products.h"
#include "sharpening.h"

namespace SCS_LEVEL {
namespace {

// Sums of squares of what is in a tile's copy, over the unit, over its channels.
void sum_squares(int64_t channels, int64_t size, float scale, const float* copy, float* squares) {
    for (int64_t i = 0; i < size; i += LANES) {
        Vec sum = {};
        for (int64_t c = 0; c < channels; c++) {
            Vec pixels = load(copy + c * size + i) * scale;
            sum += pixels * pixels;
        }
        store(squares + i, sum);
    }
}

Vec sum_window(int64_t taps, const float* squares, const int32_t* offsets) {
    Vec sum = {};
    for (int64_t t = 0; t < taps; t++) sum += load(squares + offsets[t]);
    return sum;
}

void list_sharpenings(const Layer& l, int64_t first_kernel, int64_t kernels, Sharpening* sharpenings) {
    for (int64_t k = 0; k < kernels; k++) sharpenings[k] = Sharpening(l, first_kernel + k);
}

void similarity_of_tiles(
    const Layer& l, const Plan& plan, int64_t group, int64_t first, int64_t last, const float* x, Products products
) {
    Workspace workspace(l, plan, l.kernels * plan.pixels);
    list_sharpenings(l, products.first_kernel, plan.group_kernels, workspace.sharpenings);
    products.offsets = workspace.offsets;
    products.segments = workspace.segments;
    products.sharpenings = workspace.sharpenings;
    for (int64_t unit = first; unit < last; unit++) {
        Tile tile(l, plan, unit);
        workspace.read(tile, x, group * plan.group_channels);
        sum_squares(plan.group_channels, workspace.size, 1 / l.unit, workspace.copy, workspace.squares);
        float* y = products.y + tile.image * workspace.image_stride;
        for (int64_t i = 0; i < workspace.count;) {
            int64_t together = vectors_together(l, workspace.count - i);
            const Vector* vectors = workspace.vectors + i;
            Vec energy[POOLED] = {}, reciprocal[POOLED];
            const float* patches[POOLED];
            for (int64_t v = 0; v < (l.pool > 1 ? POOLED : together); v++) {
                int64_t position = l.pool > 1 ? vectors[0].position[v] : vectors[v].position[0];
                patches[v] = workspace.copy + position;
                energy[v] = sum_window(plan.window, workspace.squares + position, workspace.square_offsets);
            }
            reciprocal_norms<POOLED>(energy, l.unit, l.q, reciprocal);
            products(vectors, together, patches, reciprocal, y);
            i += together;
        }
    }
}

// Kernels of one pixel. Outputs are counted through from one image to the next, and the pixels that belong to `together`
// vectors of them (or, pooled, to one) are copied next to each other: [channel][vector].
struct Pixels {
    const Layer& layer;
    const Plan& plan;
    float* copy;
    int64_t width;  // floats of a channel of the copy

    // Copies what the vectors from `unit` on see, and lists where their lanes go.
    void read(const float* x, int64_t unit, int64_t together, Vector* vectors, Segment* segments) const {
        int64_t total = layer.images * plan.pixels, size = layer.height * layer.width;
        if ((unit + together) * LANES > total)
            for (int64_t i = 0; i < plan.group_channels * width; i++) copy[i] = 0;
        int32_t segment = 0;
        for (int64_t v = 0; v < together; v++) {
            vectors[v] = {{}, segment, 0};
            for (int64_t lane = 0; lane < LANES;) {
                int64_t output = (unit + v) * LANES + lane;
                if (output >= total) break;
                int64_t image = output / plan.pixels, at = output % plan.pixels;
                int64_t run = least(LANES - lane, plan.pixels - at);
                segments[segment++] = {((1u << run) - 1) << lane, image * layer.kernels * plan.pixels + at};
                vectors[v].segments++;
                const float* from = x + image * layer.channels * size;
                if (layer.pool == 1)
                    copy_plain(from, at, run, v * LANES + lane);
                else
                    copy_pooled(from, at, run, lane);
                lane += run;
            }
        }
    }

   private:
    // `run` neighbouring pixels of an image, from the one of number `at` on.
    void copy_plain(const float* image, int64_t at, int64_t run, int64_t place) const {
        int64_t size = layer.height * layer.width;
        for (int64_t c = 0; c < plan.group_channels; c++) copy_run(image + c * size + at, run, copy + c * width + place);
    }

    // The 2x2 pixels of each of `run` outputs: those of an upper row go to the first vector or the third, those below them to
    // the one after.
    void copy_pooled(const float* image, int64_t at, int64_t run, int64_t lane) const {
        int64_t size = layer.height * layer.width;
        for (int64_t done = 0; done < run;) {
            int64_t row = (at + done) / layer.out_width, column = (at + done) % layer.out_width;
            int64_t place = 2 * (lane + done);
            int64_t count = least(2 * least(run - done, layer.out_width - column), LANES - place % LANES);
            const float* upper = image + 2 * row * layer.width + 2 * column;
            float* to = copy + place / LANES * 2 * LANES + place % LANES;
            for (int64_t c = 0; c < plan.group_channels; c++) {
                copy_run(upper + c * size, count, to + c * width);
                copy_run(upper + c * size + layer.width, count, to + c * width + LANES);
            }
            done += count / 2;
        }
    }
};

void similarity_of_pixels(
    const Layer& l, const Plan& plan, int64_t group, int64_t first, int64_t last, const float* x, Products products
) {
    int64_t channels = plan.group_channels;
    float scale = 1 / l.unit;
    float* copy = nullptr;
    int32_t* offsets = nullptr;
    Sharpening* sharpenings = nullptr;
    size_t needed = 0;
    for (int pass = 0; pass < 2; pass++) {
        Pieces pieces(pass ? thread_memory(needed) : nullptr);
        copy = pieces.take<float>(channels * POOLED * LANES);
        offsets = pieces.take<int32_t>(channels);
        sharpenings = pieces.take<Sharpening>(plan.group_kernels);
        needed = pieces.used();
    }
    Segment segments[POOLED * LANES];
    Vector vectors[POOLED];
    const float* patches[POOLED];
    list_sharpenings(l, products.first_kernel, plan.group_kernels, sharpenings);
    products.offsets = offsets;
    products.segments = segments;
    products.sharpenings = sharpenings;
    x += group * channels * l.height * l.width;
    for (int64_t unit = first; unit < last;) {
        int64_t together = vectors_together(l, last - unit);
        int64_t width = (l.pool > 1 ? POOLED : together) * LANES;
        Pixels{l, plan, copy, width}.read(x, unit, together, vectors, segments);
        for (int64_t c = 0; c < channels; c++) offsets[c] = static_cast<int32_t>(c * width);
        Vec energy[POOLED] = {}, reciprocal[POOLED];
        for (int64_t v = 0; v < width / LANES; v++) {
            patches[v] = copy + v * LANES;
            for (int64_t c = 0; c < channels; c++) {
                Vec pixels = load(patches[v] + c * width) * scale;
                energy[v] += pixels * pixels;
            }
        }
        reciprocal_norms<POOLED>(energy, l.unit, l.q, reciprocal);
        products(vectors, together, patches, reciprocal, products.y);
        unit += together;
    }
}

int64_t similarity_jobs(const Layer& l) { return Plan(l, false).jobs; }

void similarity(const Layer& l, int64_t job, const float* x, const float* packed, float* y) {
    Plan plan(l, false);
    int64_t group = job / (plan.unit_jobs * plan.kernel_jobs);
    int64_t part = job % plan.kernel_jobs;
    int64_t first = job / plan.kernel_jobs % plan.unit_jobs * plan.units_per_job;
    int64_t last = least(plan.units, first + plan.units_per_job);
    int64_t first_kernel = group * plan.group_kernels;
    int64_t first_block = plan.blocks * part / plan.kernel_jobs;
    int64_t last_block = plan.blocks * (part + 1) / plan.kernel_jobs;
    Products products = {
        l,       plan,   packed + first_kernel * plan.taps, first_kernel, first_block, last_block, y + first_kernel * plan.pixels,
        nullptr, nullptr, nullptr
    };
    auto way = plan.way == PIXELS ? similarity_of_pixels : similarity_of_tiles;
    way(l, plan, group, first, last, x, products);
}

int64_t energy_jobs(const Layer& l) { return Plan(l, true).jobs; }

void energy(const Layer& l, int64_t job, const float* x, float* energies) {
    Plan plan(l, true);
    int64_t group = job / plan.unit_jobs;
    int64_t first = job % plan.unit_jobs * plan.units_per_job;
    int64_t last = least(plan.units, first + plan.units_per_job);
    Workspace workspace(l, plan, l.group * plan.pixels);
    for (int64_t unit = first; unit < last; unit++) {
        Tile tile(l, plan, unit);
        workspace.read(tile, x, group * plan.group_channels);
        sum_squares(plan.group_channels, workspace.size, 1 / l.unit, workspace.copy, workspace.squares);
        float* to = energies + tile.image * workspace.image_stride + group * plan.pixels;
        for (int64_t i = 0; i < workspace.count; i++) {
            const float* squares = workspace.squares + workspace.vectors[i].position[0];
            store_segments(workspace.vectors[i], workspace.segments, to, sum_window(plan.window, squares, workspace.square_offsets));
        }
    }
}

template <Vec (*FUNCTION)(Vec)>
void map(int64_t count, const float* x, float* y) {
    for (int64_t i = 0; i < count; i += LANES) {
        int left = static_cast<int>(least(LANES, count - i));
        store_some(y + i, FUNCTION(load_some(x + i, left)), left);
    }
}

Vec log2_of(Vec x) { return log2(x); }
Vec exp2_of(Vec x) { return exp2(x); }

}  // namespace

#define SCS_TEXT(name) SCS_QUOTED(name)
#define SCS_QUOTED(name) #name
extern const scs::Kernels table;
const scs::Kernels table = {
    SCS_TEXT(SCS_LEVEL), LANES,  packed_size, pack,    similarity_jobs, similarity,
    energy_jobs,         energy, sharpen,     map<log2_of>, map<exp2_of>,
};

}  // namespace SCS_LEVEL
