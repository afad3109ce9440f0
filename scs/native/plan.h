// How a layer is cut up: into units of work, a tile or a few vectors of outputs, and those into jobs for threads.

#pragma once

#include <cstddef>

#include "elementary.h"
#include "kernels.h"

namespace SCS_LEVEL {
namespace {

using scs::Layer;

constexpr int BLOCK = 6;  // kernels whose products are summed at once
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int WIDTH = 4;  // vectors of patches, likewise; BLOCK * WIDTH sums fit into 32 registers
#else
constexpr int WIDTH = 2;  // and into 16
#endif

constexpr int64_t TILE_FLOATS = 3 << 15;  // of a copy, so that it stays in a core's own cache
constexpr int64_t TILE_COLUMNS = 64;
constexpr int64_t JOBS = 8;             // that are enough to keep cores busy
constexpr int64_t JOB_WORK = 1 << 18;   // multiplications of vectors that are worth a job
constexpr int64_t LEAST_WORK = 1 << 15;  // and where there would be few jobs

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

enum Way {
    TILES,  // any window, and energies alone
    PIXELS  // kernels of one pixel
};

struct Plan {
    int64_t group_channels, group_kernels, window, taps, blocks;
    int64_t pixels;  // of an output map
    Way way;
    int64_t step[2], reach[2];  // pixels between neighbouring outputs, and from an output's first tap to its last
    // Tiles: images, rows and columns of output, and rows and columns of a phase.
    int64_t images, rows, columns, phase_rows, phase_columns, phase_size;
    int64_t row_tiles, column_tiles;
    bool whole;  // a tile is a whole image, or several
    int64_t vectors;  // of a tile, at most
    int64_t units;    // tiles; PIXELS: vectors of outputs
    int64_t units_per_job, unit_jobs, kernel_jobs, jobs;

    Plan(const Layer& l, bool energy_alone) {
        group_channels = l.channels / l.group;
        group_kernels = energy_alone ? 0 : l.kernels / l.group;
        window = l.window.size[0] * l.window.size[1];
        taps = group_channels * window;
        blocks = parts(group_kernels, BLOCK);
        pixels = l.out_height * l.out_width;
        bool plain = window == 1;
        for (int axis = 0; axis < 2; axis++) {
            step[axis] = l.window.stride[axis];
            reach[axis] = l.window.dilation[axis] * (l.window.size[axis] - 1);
            plain = plain && step[axis] == 1 && l.window.pad_before[axis] == 0 && l.window.pad_after[axis] == 0;
        }
        way = TILES;
        if (!energy_alone && plain) way = PIXELS;
        cut_tiles(l);
        units = parts(l.images, images) * row_tiles * column_tiles;
        if (way == PIXELS) units = parts(l.images * pixels, LANES);
        share_out(l);
    }

   private:
    int64_t tile_size(const Layer& l) const {
        int64_t size = (l.pool * rows + reach[0] / step[0]) * (l.pool * columns + reach[1] / step[1]);
        return (group_channels + 1) * step[0] * step[1] * size;
    }

    int64_t tiles(const Layer& l) const {
        return parts(l.images, images) * parts(l.out_height, rows) * parts(l.out_width, columns) * l.group;
    }

    void cut_tiles(const Layer& l) {
        images = 1;
        rows = most(1, l.out_height);
        columns = most(1, least(l.out_width, TILE_COLUMNS));
        while (rows > 1 && tile_size(l) > TILE_FLOATS) rows = parts(rows, 2);
        if (way == TILES) {
            if (rows == l.out_height && columns == l.out_width)
                images = most(1, least(l.images, least(TILE_FLOATS / tile_size(l), 16 * LANES / most(pixels, 1))));
            // Where there are few tiles smaller ones, as long as they fill vectors.
            while (images > 1 && tiles(l) < JOBS) images = parts(images, 2);
            int64_t enough = 2 * WIDTH * LANES / (l.pool * l.pool);
            while (rows > 1 && tiles(l) < JOBS && rows * columns >= enough) rows = parts(rows, 2);
        }
        row_tiles = parts(l.out_height, rows);
        column_tiles = parts(l.out_width, columns);
        whole = row_tiles * column_tiles == 1;
        phase_rows = l.pool * rows + reach[0] / step[0];
        phase_columns = l.pool * columns + reach[1] / step[1];
        phase_size = images * phase_rows * phase_columns;
        vectors = images * rows * parts(l.pool * columns, LANES);
    }

    void share_out(const Layer& l) {
        units_per_job = unit_jobs = kernel_jobs = 1;
        jobs = 0;
        if (units == 0 || pixels == 0 || l.channels == 0 || (blocks == 0 && l.kernels > 0 && l.group == 0)) return;
        int64_t each = taps * most(1, group_kernels);
        int64_t unit_work = most(1, parts(l.images * pixels * l.pool * l.pool, LANES) * each / units);
        units_per_job = most(1, JOB_WORK / unit_work);
        if (parts(units, units_per_job) < JOBS) units_per_job = most(most(1, LEAST_WORK / unit_work), units / JOBS);
        if (way == PIXELS && l.pool == 1) units_per_job = parts(units_per_job, WIDTH) * WIDTH;
        unit_jobs = parts(units, units_per_job);
        if (blocks > 1 && unit_jobs * l.group < JOBS) {
            int64_t job_work = unit_work * least(units, units_per_job);
            kernel_jobs = most(1, least(blocks, least(parts(JOBS, unit_jobs * l.group), job_work / LEAST_WORK)));
        }
        jobs = unit_jobs * kernel_jobs * l.group;
    }
};

struct Tile {
    int64_t image, images, row, rows, column, columns;

    Tile(const Layer& l, const Plan& plan, int64_t unit) {
        image = row = column = 0;
        if (plan.whole) {
            image = unit * plan.images;
        } else {
            column = unit % plan.column_tiles * plan.columns;
            row = unit / plan.column_tiles % plan.row_tiles * plan.rows;
            image = unit / plan.column_tiles / plan.row_tiles * plan.images;
        }
        columns = least(plan.columns, l.out_width - column);
        rows = least(plan.rows, l.out_height - row);
        images = least(plan.images, l.images - image);
    }
};

}  // namespace
}  // namespace SCS_LEVEL
