// The exported functions of the fake MKL-DNN around engines, memory and descriptors. Argument
// checks are the real library's.
#include <string.h>

#include "fake_call.h"

using namespace fake;

extern "C" {

int omp_get_max_threads() {
  Lock lock(State::get().mutex);
  return State::get().max_threads;
}

// Engines

mkldnn_status_t mkldnn_engine_create(mkldnn_engine_t *engine, mkldnn_engine_kind_t, size_t) {
  FAKE_ENTER(engine_create, injected);
  Engine *made = s.make<Engine>(kFakeEngine);
  made->number = s.created[kFakeEngine];
  *engine = reinterpret_cast<mkldnn_engine_t>(made);
  return mkldnn_success;
}

mkldnn_status_t mkldnn_engine_destroy(mkldnn_engine_t handle) {
  FAKE_ENTER_DESTROY(engine_destroy);
  Engine *engine = FAKE_CHECK(Engine, handle, kFakeEngine, kFakeEngine);
  if (engine != nullptr) s.destroy(engine);
  return injected;
}

// Memory

mkldnn_status_t mkldnn_memory_desc_init(mkldnn_memory_desc_t *result, int ndims,
                                        const mkldnn_dims_t dims, mkldnn_data_type_t data_type,
                                        mkldnn_memory_format_t format) {
  FAKE_ENTER(memory_desc_init, injected);
  return init_memory(result, ndims, dims, data_type, format);
}

mkldnn_status_t mkldnn_memory_primitive_desc_create(mkldnn_primitive_desc_t *result,
                                                    const mkldnn_memory_desc_t *md,
                                                    mkldnn_engine_t handle) {
  FAKE_ENTER(memory_primitive_desc_create, injected);
  if (result == nullptr || md == nullptr || handle == nullptr || md->format == mkldnn_any) {
    return mkldnn_invalid_arguments;
  }
  Engine *engine = FAKE_CHECK(Engine, handle, kFakeEngine, kFakeEngine);
  *result = reinterpret_cast<mkldnn_primitive_desc_t>(
      describe_memory(*md, engine, mkldnn_memory, kFakeMemoryDescriptor));
  return mkldnn_success;
}

mkldnn_status_t mkldnn_view_primitive_desc_create(mkldnn_primitive_desc_t *result,
                                                  const_mkldnn_primitive_desc_t memory,
                                                  const mkldnn_dims_t dims,
                                                  const mkldnn_dims_t offsets) {
  FAKE_ENTER(view_primitive_desc_create, injected);
  const Descriptor *parent =
      FAKE_CHECK(Descriptor, memory, kFakeMemoryDescriptor, kFakeMemoryDescriptor);
  if (parent == nullptr) return mkldnn_invalid_arguments;
  mkldnn_memory_desc_t md = parent->md;
  mkldnn_blocking_desc_t &b = md.layout_desc.blocking;
  for (int i = 0; i < md.ndims; ++i) {
    md.dims[i] = b.padding_dims[i] = dims[i];
    b.offset_padding += offsets[i] * b.strides[0][i];
  }
  Descriptor *d = describe_memory(md, parent->engine, mkldnn_view, kFakeMemoryDescriptor);
  d->inputs = 1;
  *result = reinterpret_cast<mkldnn_primitive_desc_t>(d);
  return mkldnn_success;
}

size_t mkldnn_memory_primitive_desc_get_size(const_mkldnn_primitive_desc_t handle) {
  FAKE_ENTER(memory_primitive_desc_get_size, 0);
  const Descriptor *d =
      FAKE_CHECK(Descriptor, handle, kFakeMemoryDescriptor, kFakeMemoryDescriptor);
  size_t size = sizeof(float);
  for (int i = 0; d != nullptr && i < d->md.ndims; ++i) {
    size *= static_cast<size_t>(d->md.layout_desc.blocking.padding_dims[i]);
  }
  return size;
}

int mkldnn_memory_primitive_desc_equal(const_mkldnn_primitive_desc_t a,
                                       const_mkldnn_primitive_desc_t b) {
  FAKE_ENTER(memory_primitive_desc_equal, 0);
  const Descriptor *x = FAKE_CHECK(Descriptor, a, kFakeMemoryDescriptor, kFakeMemoryDescriptor);
  const Descriptor *y = FAKE_CHECK(Descriptor, b, kFakeMemoryDescriptor, kFakeMemoryDescriptor);
  return x != nullptr && y != nullptr && x->content == y->content;
}

mkldnn_status_t mkldnn_memory_get_data_handle(const_mkldnn_primitive_t handle, void **data) {
  FAKE_ENTER(memory_get_data_handle, injected);
  if (data == nullptr) return mkldnn_invalid_arguments;
  *data = nullptr;
  if (handle == nullptr) return mkldnn_success;
  const Primitive *p = FAKE_CHECK(Primitive, handle, kFakeMemory, kFakePrimitive);
  if (p == nullptr || p->descriptor->kind != mkldnn_memory) return mkldnn_invalid_arguments;
  *data = p->handle;
  return mkldnn_success;
}

mkldnn_status_t mkldnn_memory_set_data_handle(mkldnn_primitive_t handle, void *data) {
  FAKE_ENTER(memory_set_data_handle, injected);
  if (handle == nullptr) return mkldnn_invalid_arguments;
  Primitive *p = FAKE_CHECK(Primitive, handle, kFakeMemory, kFakePrimitive);
  if (p == nullptr || p->descriptor->kind != mkldnn_memory) return mkldnn_invalid_arguments;
  p->handle = data;
  if (data != nullptr && has_padding(p->descriptor->md)) ++s.zero_paddings;
  return mkldnn_success;
}

// Primitive descriptors

// A deconvolution may look for a convolution through the exported functions first, as a library
// that is made of itself could: what stands in between must not take that for the user's.
static void consult_convolution(const void *op_desc, mkldnn_engine_t engine) {
  mkldnn_convolution_desc_t inner = *static_cast<const mkldnn_convolution_desc_t *>(op_desc);
  inner.primitive_kind = mkldnn_convolution;
  mkldnn_primitive_desc_iterator_t iterator = nullptr;
  if (mkldnn_primitive_desc_iterator_create(&iterator, &inner, engine, nullptr) != mkldnn_success) {
    return;
  }
  mkldnn_primitive_desc_iterator_next(iterator);
  mkldnn_primitive_desc_t first = nullptr;
  mkldnn_primitive_desc_t second = mkldnn_primitive_desc_iterator_fetch(iterator);
  mkldnn_primitive_desc_iterator_destroy(iterator);
  if (mkldnn_primitive_desc_create(&first, &inner, engine, nullptr) == mkldnn_success) {
    mkldnn_primitive_desc_destroy(first);
  }
  if (second != nullptr) mkldnn_primitive_desc_destroy(second);
}

mkldnn_status_t mkldnn_primitive_desc_create_v2(mkldnn_primitive_desc_t *result,
                                                const_mkldnn_op_desc_t op_desc,
                                                const_mkldnn_primitive_attr_t attr_handle,
                                                mkldnn_engine_t engine_handle,
                                                const_mkldnn_primitive_desc_t hint_handle) {
  const bool arguments_ok = result != nullptr && op_desc != nullptr && engine_handle != nullptr;
  if (arguments_ok && State::get().calls_back &&
      *static_cast<const int *>(op_desc) == mkldnn_deconvolution) {
    consult_convolution(op_desc, engine_handle);
  }
  FAKE_ENTER(primitive_desc_create_v2, injected);
  if (!arguments_ok) return mkldnn_invalid_arguments;
  Engine *engine = FAKE_CHECK(Engine, engine_handle, kFakeEngine, kFakeEngine);
  const Attr *attr =
      attr_handle == nullptr ? nullptr : FAKE_CHECK(Attr, attr_handle, kFakeAttr, kFakeAttr);
  const Descriptor *hint = hint_handle == nullptr ? nullptr
                                                  : FAKE_CHECK(Descriptor, hint_handle,
                                                               kFakeDescriptor, kFakeDescriptor);
  Descriptor *d = describe(op_desc, attr, engine, hint, 0);
  if (d == nullptr) return mkldnn_unimplemented;
  *result = reinterpret_cast<mkldnn_primitive_desc_t>(d);
  return mkldnn_success;
}

mkldnn_status_t mkldnn_primitive_desc_create(mkldnn_primitive_desc_t *result,
                                             const_mkldnn_op_desc_t op_desc, mkldnn_engine_t engine,
                                             const_mkldnn_primitive_desc_t hint) {
  return mkldnn_primitive_desc_create_v2(result, op_desc, nullptr, engine, hint);
}

mkldnn_status_t mkldnn_primitive_desc_clone(mkldnn_primitive_desc_t *result,
                                            const_mkldnn_primitive_desc_t handle) {
  FAKE_ENTER(primitive_desc_clone, injected);
  if (result == nullptr || handle == nullptr) return mkldnn_invalid_arguments;
  const Descriptor *d = FAKE_CHECK(Descriptor, handle, kFakeDescriptor, kFakeMemoryDescriptor);
  if (d == nullptr) return mkldnn_invalid_arguments;
  const bool memory = d->kind == mkldnn_memory || d->kind == mkldnn_view;
  *result = reinterpret_cast<mkldnn_primitive_desc_t>(
      copy(*d, memory ? kFakeMemoryDescriptor : kFakeDescriptor));
  return mkldnn_success;
}

mkldnn_status_t mkldnn_primitive_desc_destroy(mkldnn_primitive_desc_t handle) {
  FAKE_ENTER_DESTROY(primitive_desc_destroy);
  if (handle == nullptr) return injected;
  Descriptor *d = FAKE_CHECK(Descriptor, handle, kFakeDescriptor, kFakeMemoryDescriptor);
  if (d != nullptr) destroy(d);
  return injected;
}

mkldnn_status_t mkldnn_primitive_desc_get_attr(const_mkldnn_primitive_desc_t handle,
                                               const_mkldnn_primitive_attr_t *attr) {
  FAKE_ENTER(primitive_desc_get_attr, injected);
  const Descriptor *d = FAKE_CHECK(Descriptor, handle, kFakeDescriptor, kFakeMemoryDescriptor);
  if (d == nullptr) return mkldnn_invalid_arguments;
  *attr = reinterpret_cast<const_mkldnn_primitive_attr_t>(&d->attr);
  return mkldnn_success;
}

static const Descriptor *role_of(const Descriptor &d, int what, int index) {
  switch (what) {
    case mkldnn_query_src_pd:
    case mkldnn_query_diff_src_pd:
      return index == 0 ? d.roles[kSrc] : nullptr;
    case mkldnn_query_weights_pd:
    case mkldnn_query_diff_weights_pd:
      return index < 2 ? d.roles[kWeights + index] : nullptr;
    case mkldnn_query_dst_pd:
    case mkldnn_query_diff_dst_pd:
      return index == 0 ? d.roles[kDst] : nullptr;
    case mkldnn_query_workspace_pd:
      return index == 0 ? d.roles[kWorkspace] : nullptr;
    default:
      return nullptr;
  }
}

static int op_desc_query(int kind) {
  switch (kind) {
    case mkldnn_convolution:
      return mkldnn_query_convolution_d;
    case mkldnn_deconvolution:
      return mkldnn_query_deconvolution_d;
    case mkldnn_eltwise:
      return mkldnn_query_eltwise_d;
    case mkldnn_softmax:
      return mkldnn_query_softmax_d;
    case mkldnn_pooling:
      return mkldnn_query_pooling_d;
    case mkldnn_lrn:
      return mkldnn_query_lrn_d;
    case mkldnn_batch_normalization:
      return mkldnn_query_batch_normalization_d;
    case mkldnn_inner_product:
      return mkldnn_query_inner_product_d;
    case mkldnn_shuffle:
      return mkldnn_query_shuffle_d;
    default:
      return -1;
  }
}

mkldnn_status_t mkldnn_primitive_desc_query(const_mkldnn_primitive_desc_t handle,
                                            mkldnn_query_t what, int index, void *result) {
  FAKE_ENTER(primitive_desc_query, injected);
  if (handle == nullptr || result == nullptr) return mkldnn_invalid_arguments;
  const Descriptor *d = FAKE_CHECK(Descriptor, handle, kFakeDescriptor, kFakeMemoryDescriptor);
  if (d == nullptr) return mkldnn_invalid_arguments;
  const bool memory = d->kind == mkldnn_memory || d->kind == mkldnn_view;
  if (what == mkldnn_query_engine) {
    *static_cast<Engine **>(result) = d->engine;
  } else if (what == mkldnn_query_primitive_kind) {
    *static_cast<int *>(result) = d->kind;
  } else if (what == mkldnn_query_num_of_inputs_s32) {
    *static_cast<int *>(result) = d->inputs;
  } else if (what == mkldnn_query_num_of_outputs_s32) {
    *static_cast<int *>(result) = d->outputs;
  } else if (what == mkldnn_query_impl_info_str) {
    *static_cast<const char **>(result) = d->implementation.c_str();
  } else if (what == mkldnn_query_memory_d && memory) {
    *static_cast<const mkldnn_memory_desc_t **>(result) = &d->md;
  } else if (!d->op_desc.empty() &&
             (what == mkldnn_query_op_d || static_cast<int>(what) == op_desc_query(d->kind))) {
    *static_cast<const void **>(result) = d->op_desc.data();
  } else if (what > mkldnn_query_some_pd) {
    const Descriptor *role = role_of(*d, what, index);
    if (role == nullptr) return mkldnn_not_required;
    *static_cast<const Descriptor **>(result) = role;
  } else {
    return mkldnn_invalid_arguments;
  }
  return mkldnn_success;
}

const mkldnn_memory_desc_t *mkldnn_primitive_desc_query_memory_d(
    const_mkldnn_primitive_desc_t handle) {
  FAKE_ENTER(primitive_desc_query_memory_d, nullptr);
  if (handle == nullptr) return nullptr;
  const Descriptor *d = FAKE_CHECK(Descriptor, handle, kFakeMemoryDescriptor, kFakeDescriptor);
  return d != nullptr && (d->kind == mkldnn_memory || d->kind == mkldnn_view) ? &d->md : nullptr;
}

const_mkldnn_primitive_desc_t mkldnn_primitive_desc_query_pd(const_mkldnn_primitive_desc_t handle,
                                                             mkldnn_query_t what, int index) {
  FAKE_ENTER(primitive_desc_query_pd, nullptr);
  if (handle == nullptr) return nullptr;
  const Descriptor *d = FAKE_CHECK(Descriptor, handle, kFakeDescriptor, kFakeMemoryDescriptor);
  return d == nullptr ? nullptr
                      : reinterpret_cast<const_mkldnn_primitive_desc_t>(role_of(*d, what, index));
}

int mkldnn_primitive_desc_query_s32(const_mkldnn_primitive_desc_t handle, mkldnn_query_t what,
                                    int) {
  FAKE_ENTER(primitive_desc_query_s32, 0);
  if (handle == nullptr) return 0;
  const Descriptor *d = FAKE_CHECK(Descriptor, handle, kFakeDescriptor, kFakeMemoryDescriptor);
  if (d == nullptr) return 0;
  return what == mkldnn_query_num_of_inputs_s32    ? d->inputs
         : what == mkldnn_query_num_of_outputs_s32 ? d->outputs
                                                   : 0;
}

mkldnn_status_t mkldnn_reorder_primitive_desc_create_v2(mkldnn_primitive_desc_t *result,
                                                        const_mkldnn_primitive_desc_t input,
                                                        const_mkldnn_primitive_desc_t output,
                                                        const_mkldnn_primitive_attr_t attr_handle) {
  FAKE_ENTER(reorder_primitive_desc_create_v2, injected);
  if (result == nullptr || input == nullptr || output == nullptr) return mkldnn_invalid_arguments;
  const Descriptor *from =
      FAKE_CHECK(Descriptor, input, kFakeMemoryDescriptor, kFakeMemoryDescriptor);
  const Descriptor *to =
      FAKE_CHECK(Descriptor, output, kFakeMemoryDescriptor, kFakeMemoryDescriptor);
  if (from == nullptr || to == nullptr) return mkldnn_invalid_arguments;
  const Attr *attr =
      attr_handle == nullptr ? nullptr : FAKE_CHECK(Attr, attr_handle, kFakeAttr, kFakeAttr);
  *result = reinterpret_cast<mkldnn_primitive_desc_t>(describe_reorder(*from, *to, attr));
  return mkldnn_success;
}

mkldnn_status_t mkldnn_reorder_primitive_desc_create(mkldnn_primitive_desc_t *result,
                                                     const_mkldnn_primitive_desc_t input,
                                                     const_mkldnn_primitive_desc_t output) {
  return mkldnn_reorder_primitive_desc_create_v2(result, input, output, nullptr);
}

static mkldnn_status_t create_many(State &s, const char *function, mkldnn_primitive_desc_t *result,
                                   int kind, const mkldnn_memory_desc_t *output, int n,
                                   const float *scales, int dimension,
                                   const_mkldnn_primitive_desc_t *handles) {
  if (result == nullptr || handles == nullptr || n <= 0) return mkldnn_invalid_arguments;
  std::vector<const Descriptor *> inputs;
  for (int i = 0; i < n; ++i) {
    if (handles[i] == nullptr) return mkldnn_invalid_arguments;
    inputs.push_back(
        FAKE_CHECK(Descriptor, handles[i], kFakeMemoryDescriptor, kFakeMemoryDescriptor));
    if (inputs.back() == nullptr) return mkldnn_invalid_arguments;
  }
  *result = reinterpret_cast<mkldnn_primitive_desc_t>(
      describe_many(kind, output, n, scales, dimension, inputs));
  return mkldnn_success;
}

mkldnn_status_t mkldnn_sum_primitive_desc_create(mkldnn_primitive_desc_t *result,
                                                 const mkldnn_memory_desc_t *output, int n,
                                                 const float *scales,
                                                 const_mkldnn_primitive_desc_t *inputs) {
  FAKE_ENTER(sum_primitive_desc_create, injected);
  if (scales == nullptr) return mkldnn_invalid_arguments;
  return create_many(s, function, result, mkldnn_sum, output, n, scales, 0, inputs);
}

mkldnn_status_t mkldnn_concat_primitive_desc_create(mkldnn_primitive_desc_t *result,
                                                    const mkldnn_memory_desc_t *output, int n,
                                                    int dimension,
                                                    const_mkldnn_primitive_desc_t *inputs) {
  FAKE_ENTER(concat_primitive_desc_create, injected);
  return create_many(s, function, result, mkldnn_concat, output, n, nullptr, dimension, inputs);
}

// Iterators

mkldnn_status_t mkldnn_primitive_desc_iterator_create_v2(mkldnn_primitive_desc_iterator_t *result,
                                                         const_mkldnn_op_desc_t op_desc,
                                                         const_mkldnn_primitive_attr_t attr_handle,
                                                         mkldnn_engine_t engine,
                                                         const_mkldnn_primitive_desc_t hint) {
  FAKE_ENTER(primitive_desc_iterator_create_v2, injected);
  if (result == nullptr || op_desc == nullptr || engine == nullptr) return mkldnn_invalid_arguments;
  if (s.implementations == 0) return mkldnn_unimplemented;
  Iterator *it = s.make<Iterator>(kFakeIterator);
  it->op_desc = op_desc;
  it->engine = FAKE_CHECK(Engine, engine, kFakeEngine, kFakeEngine);
  if (attr_handle != nullptr) {
    const Attr *attr = FAKE_CHECK(Attr, attr_handle, kFakeAttr, kFakeAttr);
    if (attr != nullptr) it->attr = *attr;
  }
  if (hint != nullptr) it->hint = FAKE_CHECK(Descriptor, hint, kFakeDescriptor, kFakeDescriptor);
  *result = reinterpret_cast<mkldnn_primitive_desc_iterator_t>(it);
  return mkldnn_success;
}

mkldnn_status_t mkldnn_primitive_desc_iterator_create(mkldnn_primitive_desc_iterator_t *result,
                                                      const_mkldnn_op_desc_t op_desc,
                                                      mkldnn_engine_t engine,
                                                      const_mkldnn_primitive_desc_t hint) {
  return mkldnn_primitive_desc_iterator_create_v2(result, op_desc, nullptr, engine, hint);
}

mkldnn_status_t mkldnn_primitive_desc_iterator_next(mkldnn_primitive_desc_iterator_t handle) {
  FAKE_ENTER(primitive_desc_iterator_next, injected);
  if (handle == nullptr) return mkldnn_invalid_arguments;
  Iterator *it = FAKE_CHECK(Iterator, handle, kFakeIterator, kFakeIterator);
  if (it == nullptr) return mkldnn_invalid_arguments;
  if (it->position < s.implementations) ++it->position;
  return it->position < s.implementations ? mkldnn_success : mkldnn_iterator_ends;
}

mkldnn_primitive_desc_t mkldnn_primitive_desc_iterator_fetch(
    const_mkldnn_primitive_desc_iterator_t handle) {
  FAKE_ENTER(primitive_desc_iterator_fetch, nullptr);
  if (handle == nullptr) return nullptr;
  const Iterator *it = FAKE_CHECK(Iterator, handle, kFakeIterator, kFakeIterator);
  if (it == nullptr || it->position >= s.implementations) return nullptr;
  return reinterpret_cast<mkldnn_primitive_desc_t>(
      describe(it->op_desc, &it->attr, it->engine, it->hint, it->position));
}

mkldnn_status_t mkldnn_primitive_desc_iterator_destroy(mkldnn_primitive_desc_iterator_t handle) {
  FAKE_ENTER_DESTROY(primitive_desc_iterator_destroy);
  if (handle == nullptr) return injected;
  Iterator *it = FAKE_CHECK(Iterator, handle, kFakeIterator, kFakeIterator);
  if (it != nullptr) s.destroy(it);
  return injected;
}

}  // extern "C"
