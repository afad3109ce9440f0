// Which of the kernels this processor can run, and plain functions to ask and to choose.

#include <cstring>

#include "kernels.h"

#ifdef SCS_X86_64
namespace x86_64_v4 { extern const scs::Kernels table; }
namespace x86_64_v3 { extern const scs::Kernels table; }
#endif
namespace baseline { extern const scs::Kernels table; }

namespace {

struct Level {
    const scs::Kernels* kernels;
    bool runs_here;
};

struct Levels {
    Level best_first[3];
    int count = 0;

    Levels() {
#ifdef SCS_X86_64
        __builtin_cpu_init();
        bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
        bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512cd");
        best_first[count++] = {&x86_64_v4::table, v4};
        best_first[count++] = {&x86_64_v3::table, v3};
#endif
        best_first[count++] = {&baseline::table, true};
    }
};

const Levels& levels() {
    static const Levels found;
    return found;
}

const scs::Kernels*& chosen() {
    static const scs::Kernels* kernels = [] {
        int i = 0;
        while (!levels().best_first[i].runs_here) i++;
        return levels().best_first[i].kernels;
    }();
    return kernels;
}

}  // namespace

const scs::Kernels& scs::kernels() { return *chosen(); }

// The interface that scs/native/__init__.py checks: raise both when what they say to each other changes.
SCS_EXPORT int scs_interface() { return 1; }

// The name of the instruction set in use.
SCS_EXPORT const char* scs_instruction_set() { return chosen()->name; }

// Use another one, for tests; 0 where it was not built, or this processor cannot run it. Not while anything runs.
SCS_EXPORT int scs_choose_instruction_set(const char* name) {
    for (int i = 0; i < levels().count; i++)
        if (levels().best_first[i].runs_here && !std::strcmp(levels().best_first[i].kernels->name, name)) {
            chosen() = levels().best_first[i].kernels;
            return 1;
        }
    return 0;
}

SCS_EXPORT void scs_log2(int64_t count, const float* x, float* y) { scs::kernels().log2(count, x, y); }
SCS_EXPORT void scs_exp2(int64_t count, const float* x, float* y) { scs::kernels().exp2(count, x, y); }
