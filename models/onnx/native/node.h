// What a kernel sees of ONNX Runtime: the node it was made for, its inputs and outputs, and how it fails.

#pragma once

#include <atomic>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "runtime_api.h"

namespace runtime {

typedef std::vector<int64_t> Shape;

// A failure of the runtime itself, handed on as it is.
struct Failure {
    Status* status;
};

struct InvalidInput {
    std::string needs;
};

inline void check(Status* status) {
    if (status) throw Failure{status};
}

// What `action` throws becomes the status that the runtime wants.
template <class Action>
Status* guarded(const Api* api, Action action) {
    try {
        action();
        return nullptr;
    } catch (const Failure& failure) {
        return failure.status;
    } catch (const InvalidInput& input) {
        return create_status(api, INVALID_ARGUMENT, input.needs.c_str());
    } catch (const std::exception& error) {
        return create_status(api, FAIL, error.what());
    }
}

struct Tensor {
    const float* data = nullptr;
    Shape shape;

    Tensor() = default;

    Tensor(const Api* api, const Value* value) {
        void* found;
        check(get_tensor_mutable_data(api, const_cast<Value*>(value), &found));
        data = static_cast<const float*>(found);
        TensorShape* held;
        check(get_tensor_type_and_shape(api, value, &held));
        size_t rank = 0;
        Status* status = get_dimensions_count(api, held, &rank);
        shape.resize(rank);
        if (!status) status = get_dimensions(api, held, shape.data(), rank);
        release_tensor_type_and_shape_info(api, held);
        check(status);
    }

    explicit operator bool() const { return data != nullptr; }

    int64_t size() const {
        int64_t product = 1;
        for (int64_t each : shape) product *= each;
        return product;
    }
};

// What a kernel gets when it is made, and when it runs.
struct Node {
    const Api* api;
    const KernelInfo* info;

    std::vector<int64_t> numbers(const char* name) const {
        size_t size = 0;
        check(kernel_info_get_attribute_array_int64(api, info, name, nullptr, &size));
        std::vector<int64_t> found(size);
        check(kernel_info_get_attribute_array_int64(api, info, name, found.data(), &size));
        return found;
    }

    int64_t number(const char* name, int64_t otherwise) const {
        int64_t found;
        Status* status = kernel_info_get_attribute_int64(api, info, name, &found);
        if (!status) return found;
        release_status(api, status);
        return otherwise;
    }

    bool has(size_t index) const {
        size_t inputs = 0;
        check(kernel_info_get_input_count(api, info, &inputs));
        if (index >= inputs) return false;
        size_t length = 0;
        check(kernel_info_get_input_name(api, info, index, nullptr, &length));
        return length > 1;  // with the zero at its end; one that is left out has no name
    }

    // Null unless the input is a constant of the graph.
    Tensor constant(size_t index) const {
        int is_constant = 0;
        const Value* value = nullptr;
        Status* status = kernel_info_get_constant_input_tensor(api, info, index, &is_constant, &value);
        if (status) release_status(api, status);  // an optional input that is not there
        return !status && is_constant && value ? Tensor(api, value) : Tensor();
    }
};

struct Run {
    const Api* api;
    KernelContext* context;

    Tensor input(size_t index) const {
        const Value* value = nullptr;
        Status* status = kernel_context_get_input(api, context, index, &value);
        if (status) release_status(api, status);
        return value ? Tensor(api, value) : Tensor();
    }

    float* output(const Shape& shape) const {
        Value* value;
        check(kernel_context_get_output(api, context, 0, shape.data(), shape.size(), &value));
        void* data;
        check(get_tensor_mutable_data(api, value, &data));
        return static_cast<float*>(data);
    }

    // `action` of each number below `count`, on the session's threads.
    template <class Action>
    void in_parallel(int64_t count, const Action& action) const {
        if (count <= 1) {
            if (count == 1) action(0);
            return;
        }
        struct Shared {
            const Action& action;
            std::atomic<bool> failed;
        } shared = {action, {false}};
        auto one = [](void* data, size_t index) {
            auto& shared = *static_cast<Shared*>(data);
            try {
                shared.action(static_cast<int64_t>(index));
            } catch (...) {
                shared.failed = true;
            }
        };
        check(kernel_context_parallel_for(api, context, one, static_cast<size_t>(count), 0, &shared));
        if (shared.failed) throw std::bad_alloc();
    }
};

inline std::string text(const Shape& shape) {
    std::string made = "(";
    for (size_t i = 0; i < shape.size(); i++) made += (i ? ", " : "") + std::to_string(shape[i]);
    return made + ")";
}

inline void need(bool fulfilled, const std::string& needs) {
    if (!fulfilled) throw InvalidInput{needs};
}

}  // namespace runtime
