// Custom ops of ONNX Runtime for the functions of models/onnx/op.py, by their names: where this library is registered, the
// runtime takes these kernels, and elsewhere the functions that lie in the file.
//
// Beyond what those functions take, `SharpenedCosineSimilarity` and `Sharpen` take two optional inputs, a gain and a bias for
// each kernel, and `SharpenedCosineSimilarity` the attributes `pool` (2: of every 2x2 outputs only the largest is kept) and
// `pool_by_magnitude` (1: the largest is that of largest magnitude). Of those models/onnx/native/joining.py makes use.

#include <climits>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "node.h"
#include "runtime_api.h"
#include "scs/native/kernels.h"

namespace {

using runtime::Api;
using runtime::CustomOp;
using runtime::KernelContext;
using runtime::KernelInfo;
using runtime::Node;
using runtime::Run;
using runtime::Shape;
using runtime::Status;
using runtime::Tensor;
using runtime::check;
using runtime::guarded;
using runtime::need;
using runtime::text;

// What a layer may ask for, far beyond what any network has: sums of a few such numbers, and products of two, do not overflow.
constexpr int64_t MOST = 4096;
// Floats of a thread's copy of what a part of a row of outputs sees; places in it are numbers of 32 bits.
constexpr int64_t MOST_COPIED = int64_t(1) << 28, ROW_PART = 64;
constexpr int64_t MOST_OUTPUTS = int64_t(1) << 33;
// Energies of layers are of x / UNIT, as in models/onnx/op.py.
constexpr int64_t UNIT = int64_t(1) << 16;

scs::Window window_of(const Node& node) {
    auto size = node.numbers("kernel_shape"), stride = node.numbers("strides"), dilation = node.numbers("dilations");
    auto pads = node.numbers("pads");
    need(size.size() == 2 && stride.size() == 2 && dilation.size() == 2 && pads.size() == 4,
         "a window of two axes: kernel_shape, strides and dilations of 2 numbers, pads of 4");
    scs::Window window;
    for (int axis = 0; axis < 2; axis++) {
        need(size[axis] > 0 && stride[axis] > 0 && dilation[axis] > 0 && pads[axis] >= 0 && pads[axis + 2] >= 0,
             "kernel_shape, strides and dilations above 0, and pads of 0 or more");
        need(size[axis] <= MOST && stride[axis] <= MOST && dilation[axis] <= MOST && pads[axis] <= MOST &&
                 pads[axis + 2] <= MOST,
             "kernel_shape, strides, dilations and pads of at most " + std::to_string(MOST));
        window.size[axis] = size[axis];
        window.stride[axis] = stride[axis];
        window.dilation[axis] = dilation[axis];
        window.pad_before[axis] = pads[axis];
        window.pad_after[axis] = pads[axis + 2];
    }
    return window;
}

float unit_of(const Node& node) {
    int64_t unit = node.number("unit", 1);
    need(unit == 1 || unit == UNIT, "a unit of 1 or " + std::to_string(UNIT) + "; " + std::to_string(unit) + " came");
    return static_cast<float>(unit);
}

// How many patches fit.
int64_t places(const scs::Window& window, int axis, int64_t size) {
    int64_t room = size + window.pad_before[axis] + window.pad_after[axis];
    int64_t reach = window.dilation[axis] * (window.size[axis] - 1) + 1;
    return room < reach ? 0 : (room - reach) / window.stride[axis] + 1;
}

bool product_is_within(std::initializer_list<int64_t> factors, int64_t most) {
    int64_t product = 1;
    for (int64_t factor : factors)
        if (__builtin_mul_overflow(product, factor, &product)) return false;
    return product <= most;
}

// Whether the least that can be copied at once, what a part of a row of outputs sees, is small enough.
bool can_be_copied(const scs::Layer& layer) {
    const auto& window = layer.window;
    int64_t seen[2];
    for (int axis = 0; axis < 2; axis++)
        seen[axis] = window.dilation[axis] * (window.size[axis] - 1) / window.stride[axis] + layer.pool;
    return product_is_within(
        {layer.channels / layer.group + 1, window.stride[0], window.stride[1], seen[0], seen[1] + layer.pool * ROW_PART},
        MOST_COPIED
    );
}

void take_images(scs::Layer& layer, const Tensor& x) {
    need(x.shape.size() == 4, "images (N, C, H, W); " + text(x.shape) + " came");
    layer.images = x.shape[0];
    layer.channels = x.shape[1];
    layer.height = x.shape[2];
    layer.width = x.shape[3];
    layer.out_height = places(layer.window, 0, layer.height) / layer.pool;
    layer.out_width = places(layer.window, 1, layer.width) / layer.pool;
    need(layer.group > 0 && can_be_copied(layer),
         "a window, strides and channels of which " + std::to_string(ROW_PART) + " outputs see at most " +
             std::to_string(MOST_COPIED) + " numbers");
    int64_t maps = layer.kernels > 0 ? layer.kernels : layer.group;
    need(product_is_within({layer.images, maps, layer.out_height, layer.out_width}, MOST_OUTPUTS),
         "at most " + std::to_string(MOST_OUTPUTS) + " outputs; pads make them " + text({layer.out_height, layer.out_width}));
}

// p, q and, where they are there, gain and bias.
void take_sharpening(scs::Layer& layer, const Tensor& p, const Tensor& q, const Tensor& gain, const Tensor& bias) {
    need(p.size() == layer.kernels, "one exponent a kernel, " + std::to_string(layer.kernels) + "; " + text(p.shape) + " came");
    need(q.size() == 1, "one noise floor; " + text(q.shape) + " came");
    need(!gain || gain.size() == layer.kernels, "one gain a kernel; " + text(gain.shape) + " came");
    need(!bias || bias.size() == layer.kernels, "one bias a kernel; " + text(bias.shape) + " came");
    layer.exponents = p.data;
    layer.q = *q.data;
    layer.gains = gain.data;
    layer.biases = bias.data;
}

// SharpenedCosineSimilarity (x, w, p, q, gain, bias)
class Similarity {
   public:
    static constexpr const char* NAME = "SharpenedCosineSimilarity";
    static constexpr size_t REQUIRED_INPUTS = 4, INPUTS = 6;
    static constexpr bool IN_PLACE = false;

    explicit Similarity(const Node& node) {
        layer_.window = window_of(node);
        layer_.unit = UNIT;
        layer_.group = node.number("group", 1);
        int64_t pool = node.number("pool", 1);
        need(pool == 1 || pool == 2, "a pool of 1 or 2; " + std::to_string(pool) + " came");
        layer_.pool = static_cast<int>(pool);
        layer_.pool_by_magnitude = node.number("pool_by_magnitude", 0) != 0;
        need(layer_.group > 0 && layer_.group <= INT_MAX, "a group of 1 or more, and no more than kernels");
        // What is constant is read once: asking the runtime takes as long as a small layer.
        Tensor w = node.constant(1), p = node.constant(2), q = node.constant(3);
        Tensor gain = node.constant(GAIN), bias = node.constant(BIAS);
        constant_ = w && p && q && (gain || !node.has(GAIN)) && (bias || !node.has(BIAS));
        if (!constant_) return;
        take_kernels(layer_, w, p, q, gain, bias);
        packed_ = packed(layer_, w);
        for (auto [values, kept] : {std::pair(&layer_.exponents, &exponents_), std::pair(&layer_.gains, &gains_),
                                    std::pair(&layer_.biases, &biases_)})
            if (*values) {
                kept->assign(*values, *values + layer_.kernels);
                *values = kept->data();
            }
    }

    void operator()(const Run& run) {
        scs::Layer layer = layer_;
        std::vector<float> now;
        if (!constant_) {
            Tensor w = run.input(1);
            take_kernels(layer, w, run.input(2), run.input(3), run.input(GAIN), run.input(BIAS));
            now = packed(layer, w);
        }
        Tensor x = run.input(0);
        int64_t channels = layer.channels;
        take_images(layer, x);
        need(layer.channels == channels, "images (N, " + std::to_string(channels) + ", H, W); " + text(x.shape) + " came");
        const std::vector<float>& packed = constant_ ? packed_ : now;
        float* y = run.output({layer.images, layer.kernels, layer.out_height, layer.out_width});
        const auto& kernels = scs::kernels();
        run.in_parallel(kernels.similarity_jobs(layer), [&](int64_t job) {
            kernels.similarity(layer, job, x.data, packed.data(), y);
        });
    }

   private:
    static constexpr size_t GAIN = 4, BIAS = 5;

    void take_kernels(
        scs::Layer& layer, const Tensor& w, const Tensor& p, const Tensor& q, const Tensor& gain, const Tensor& bias
    ) const {
        need(w.shape.size() == 4 && w.shape[2] == layer.window.size[0] && w.shape[3] == layer.window.size[1],
             "kernels (K, C / group, kH, kW) of kernel_shape; " + text(w.shape) + " came");
        layer.kernels = w.shape[0];
        layer.channels = w.shape[1] * layer.group;
        need(layer.kernels > 0 && layer.channels > 0 && layer.kernels % layer.group == 0,
             "kernels in whole groups; " + text(w.shape) + " came");
        take_sharpening(layer, p, q, gain, bias);
        need(layer.pool == 1 || !layer.pool_by_magnitude || !bias, "no bias where the largest magnitude is kept");
    }

    static std::vector<float> packed(const scs::Layer& layer, const Tensor& w) {
        std::vector<float> made(static_cast<size_t>(scs::kernels().packed_size(layer)));
        scs::kernels().pack(layer, w.data, made.data());
        return made;
    }

    scs::Layer layer_ = {};
    bool constant_ = false;
    std::vector<float> packed_, exponents_, gains_, biases_;
};

// WindowSumSquare (x), and, with a group for each channel, WindowSquare (x)
template <bool DEPTHWISE>
class Energy {
   public:
    static constexpr const char* NAME = DEPTHWISE ? "WindowSquare" : "WindowSumSquare";
    static constexpr size_t REQUIRED_INPUTS = 1, INPUTS = 1;
    static constexpr bool IN_PLACE = false;

    explicit Energy(const Node& node) {
        layer_.window = window_of(node);
        layer_.unit = unit_of(node);
        layer_.pool = 1;
    }

    void operator()(const Run& run) {
        scs::Layer layer = layer_;
        Tensor x = run.input(0);
        need(x.shape.size() == 4, "images (N, C, H, W); " + text(x.shape) + " came");
        layer.group = DEPTHWISE ? x.shape[1] : 1;
        take_images(layer, x);
        float* energy = run.output({layer.images, layer.group, layer.out_height, layer.out_width});
        const auto& kernels = scs::kernels();
        run.in_parallel(kernels.energy_jobs(layer), [&](int64_t job) { kernels.energy(layer, job, x.data, energy); });
    }

   private:
    scs::Layer layer_ = {};
};

// Sharpen (dot, energy, p, q, gain, bias)
class Sharpen {
   public:
    static constexpr const char* NAME = "Sharpen";
    static constexpr size_t REQUIRED_INPUTS = 4, INPUTS = 6;
    static constexpr bool IN_PLACE = true;

    explicit Sharpen(const Node& node) : unit_(unit_of(node)) {}

    void operator()(const Run& run) {
        Tensor dot = run.input(0), energy = run.input(1);
        const Shape &shape = dot.shape, &energies = energy.shape;
        need(shape.size() == 4 && energies.size() == 4 && energies[0] == shape[0] && energies[2] == shape[2] &&
                 energies[3] == shape[3] && (energies[1] == 1 || energies[1] == shape[1]),
             "energies (N, 1 or K, H, W) for products " + text(shape) + "; " + text(energies) + " came");
        scs::Layer layer = {};
        layer.images = shape[0];
        layer.kernels = shape[1];
        layer.unit = unit_;
        take_sharpening(layer, run.input(2), run.input(3), run.input(4), run.input(5));
        float* y = run.output(shape);
        int64_t plane = shape[2] * shape[3];
        if (dot.size() == 0) return;
        // Of so many pixels all kernels are taken in turn, while their energies are at hand.
        const int64_t at_once = 1024;
        int64_t chunks = (plane + at_once - 1) / at_once;
        bool own = energies[1] > 1;
        const auto& kernels = scs::kernels();
        run.in_parallel(layer.images * chunks, [&](int64_t job) {
            int64_t image = job / chunks, first = job % chunks * at_once;
            int64_t pixels = plane - first < at_once ? plane - first : at_once, from = image * layer.kernels * plane;
            const float* energies_of = energy.data + (own ? from : image * plane);
            kernels.sharpen(layer, plane, first, pixels, own, dot.data + from, energies_of, y + from);
        });
    }

   private:
    float unit_;
};

// Where vectors are wide. Elsewhere nobody has measured whose convolution is faster.
bool takes_layers() { return scs::kernels().lanes >= 8; }

// The runtime's description of an op, and a kernel of it behind an opaque pointer.
template <class Op>
struct Described : CustomOp {
    struct Kernel {
        const Api* api;
        Op op;
    };

    Described() : CustomOp{} {
        version = runtime::VERSION;
        get_name = [](const CustomOp*) { return Op::NAME; };
        get_execution_provider_type = [](const CustomOp*) -> const char* { return nullptr; };
        get_input_type = [](const CustomOp*, size_t) { return runtime::FLOAT; };
        get_input_type_count = [](const CustomOp*) { return Op::INPUTS; };
        get_output_type = [](const CustomOp*, size_t) { return runtime::FLOAT; };
        get_output_type_count = [](const CustomOp*) -> size_t { return 1; };
        get_input_characteristic = [](const CustomOp*, size_t index) {
            return index < Op::REQUIRED_INPUTS ? runtime::REQUIRED : runtime::OPTIONAL;
        };
        get_output_characteristic = [](const CustomOp*, size_t) { return runtime::REQUIRED; };
        get_input_memory_type = [](const CustomOp*, size_t) { return runtime::DEFAULT_MEMORY; };
        // Of variadic inputs, which there are none of.
        get_variadic_input_min_arity = get_variadic_output_min_arity = [](const CustomOp*) { return 1; };
        get_variadic_input_homogeneity = get_variadic_output_homogeneity = [](const CustomOp*) { return 1; };
        get_start_version = [](const CustomOp*) { return 1; };
        get_end_version = [](const CustomOp*) { return INT_MAX; };
        create_kernel_v2 = [](const CustomOp*, const Api* api, const KernelInfo* info, void** kernel) {
            return guarded(api, [&] { *kernel = new Kernel{api, Op(Node{api, info})}; });
        };
        kernel_compute_v2 = [](void* data, KernelContext* context) {
            auto& kernel = *static_cast<Kernel*>(data);
            return guarded(kernel.api, [&] { kernel.op(Run{kernel.api, context}); });
        };
        kernel_destroy = [](void* data) { delete static_cast<Kernel*>(data); };
        if (Op::IN_PLACE) {
            get_may_inplace = [](int** input, int** output) -> size_t {
                *input = new int[1]{0};
                *output = new int[1]{0};
                return 1;
            };
            release_may_inplace = [](int* input, int* output) {
                delete[] input;
                delete[] output;
            };
        }
    }
};

// Sessions point to it as long as they live, so it lives as long as the process.
runtime::CustomOpDomain* domain(const Api* api) {
    static runtime::CustomOpDomain* const made = [api] {
        static const Described<Similarity> similarity;
        static const Described<Energy<false>> window_sum_square;
        static const Described<Energy<true>> window_square;
        static const Described<Sharpen> sharpen;
        runtime::CustomOpDomain* fresh;
        check(runtime::create_custom_op_domain(api, "ai.scs", &fresh));
        for (const CustomOp* op : {static_cast<const CustomOp*>(&window_sum_square),
                                   static_cast<const CustomOp*>(&window_square), static_cast<const CustomOp*>(&sharpen)})
            check(runtime::custom_op_domain_add(api, fresh, op));
        if (takes_layers()) check(runtime::custom_op_domain_add(api, fresh, &similarity));
        return fresh;
    }();
    return made;
}

}  // namespace

// What onnxruntime.SessionOptions.register_custom_ops_library looks for.
SCS_EXPORT Status* RegisterCustomOps(
    runtime::SessionOptions* options, const runtime::ApiBase* base
) {
    const Api* api = base->get_api(runtime::VERSION);
    if (!api) return runtime::create_status(base->get_api(1), runtime::FAIL, "needs ONNX Runtime 1.18 or newer");
    return guarded(api, [&] { check(runtime::add_custom_op_domain(api, options, domain(api))); });
}

// Whether whole layers are taken from ONNX Runtime, and not only what follows its convolution.
SCS_EXPORT int scs_takes_layers() { return takes_layers(); }
