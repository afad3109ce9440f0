// The part of ONNX Runtime's C interface that custom kernels of a CPU need, so that building them takes a compiler alone.
//
// The interface is a table of functions that is only ever appended to: a function's place in it never changes, and a version
// of the table that was once offered is offered by every later runtime. Names, places and arguments are those of
// onnxruntime_c_api.h, which says more about each.

#pragma once

#include <cstddef>
#include <cstdint>

namespace runtime {

constexpr uint32_t VERSION = 18;  // ONNX Runtime 1.18, the first that lets a kernel write over its input

struct Status;
struct SessionOptions;
struct CustomOpDomain;
struct KernelInfo;
struct KernelContext;
struct Value;
struct TensorShape;

enum ErrorCode { FAIL = 1, INVALID_ARGUMENT = 2 };
enum ElementType { FLOAT = 1 };
enum MemoryType { DEFAULT_MEMORY = 0 };
enum Characteristic { REQUIRED = 0, OPTIONAL = 1 };

struct Api {
    const void* functions[276];
};

struct ApiBase {
    const Api* (*get_api)(uint32_t version);  // null where the runtime is older
    const char* (*get_version)();
};

// A function of the table by its place.
template <int PLACE, class Result, class... Arguments>
struct Function {
    Result operator()(const Api* api, Arguments... arguments) const {
        return reinterpret_cast<Result (*)(Arguments...)>(const_cast<void*>(api->functions[PLACE]))(arguments...);
    }
};

constexpr Function<0, Status*, ErrorCode, const char*> create_status;
constexpr Function<26, Status*, const char*, CustomOpDomain**> create_custom_op_domain;
constexpr Function<27, Status*, CustomOpDomain*, const struct CustomOp*> custom_op_domain_add;
constexpr Function<28, Status*, SessionOptions*, CustomOpDomain*> add_custom_op_domain;
constexpr Function<51, Status*, Value*, void**> get_tensor_mutable_data;
constexpr Function<61, Status*, const TensorShape*, size_t*> get_dimensions_count;
constexpr Function<62, Status*, const TensorShape*, int64_t*, size_t> get_dimensions;
constexpr Function<65, Status*, const Value*, TensorShape**> get_tensor_type_and_shape;
constexpr Function<86, Status*, const KernelInfo*, const char*, int64_t*> kernel_info_get_attribute_int64;
constexpr Function<90, Status*, const KernelContext*, size_t, const Value**> kernel_context_get_input;
constexpr Function<91, Status*, KernelContext*, size_t, const int64_t*, size_t, Value**> kernel_context_get_output;
constexpr Function<93, void, Status*> release_status;
constexpr Function<99, void, TensorShape*> release_tensor_type_and_shape_info;
constexpr Function<163, Status*, const KernelInfo*, const char*, int64_t*, size_t*>
    kernel_info_get_attribute_array_int64;
constexpr Function<230, Status*, const KernelInfo*, size_t*> kernel_info_get_input_count;
constexpr Function<232, Status*, const KernelInfo*, size_t, char*, size_t*> kernel_info_get_input_name;
constexpr Function<249, Status*, const KernelInfo*, size_t, int*, const Value**> kernel_info_get_constant_input_tensor;
constexpr Function<274, Status*, const KernelContext*, void (*)(void*, size_t), size_t, size_t, void*>
    kernel_context_parallel_for;

// What the runtime asks of an op. Only the members that end in _inplace, _alias_map and _shape may be null, and those that
// are said to be.
struct CustomOp {
    uint32_t version;
    void* (*create_kernel)(const CustomOp*, const Api*, const KernelInfo*);  // null: create_kernel_v2 instead
    const char* (*get_name)(const CustomOp*);
    const char* (*get_execution_provider_type)(const CustomOp*);
    ElementType (*get_input_type)(const CustomOp*, size_t);
    size_t (*get_input_type_count)(const CustomOp*);
    ElementType (*get_output_type)(const CustomOp*, size_t);
    size_t (*get_output_type_count)(const CustomOp*);
    void (*kernel_compute)(void*, KernelContext*);  // null: kernel_compute_v2 instead
    void (*kernel_destroy)(void*);
    Characteristic (*get_input_characteristic)(const CustomOp*, size_t);
    Characteristic (*get_output_characteristic)(const CustomOp*, size_t);
    MemoryType (*get_input_memory_type)(const CustomOp*, size_t);
    int (*get_variadic_input_min_arity)(const CustomOp*);
    int (*get_variadic_input_homogeneity)(const CustomOp*);
    int (*get_variadic_output_min_arity)(const CustomOp*);
    int (*get_variadic_output_homogeneity)(const CustomOp*);
    Status* (*create_kernel_v2)(const CustomOp*, const Api*, const KernelInfo*, void**);
    Status* (*kernel_compute_v2)(void*, KernelContext*);
    Status* (*infer_output_shape)(const CustomOp*, void*);
    int (*get_start_version)(const CustomOp*);
    int (*get_end_version)(const CustomOp*);
    size_t (*get_may_inplace)(int**, int**);
    void (*release_may_inplace)(int*, int*);
    size_t (*get_alias_map)(int**, int**);
    void (*release_alias_map)(int*, int*);
};

}  // namespace runtime
