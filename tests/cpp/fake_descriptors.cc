// The exported functions of the fake MKL-DNN 0.17.4 around memory and descriptors, but for those in
// fake_shared.cc. Argument checks are the real library's.
#include <string.h>

#include "fake_call.h"

using namespace fake;

extern "C" {

// Memory

Status mkldnn_memory_desc_init(mkldnn_memory_desc_t *result, int ndims, const mkldnn_dims_t dims,
                               mkldnn_data_type_t data_type, mkldnn_memory_format_t format) {
  FAKE_ENTER(memory_desc_init, injected);
  return init_memory(result, ndims, dims, data_type, format);
}

Status mkldnn_memory_primitive_desc_create(Pd *result, Md *md, mkldnn_engine_t handle) {
  FAKE_ENTER(memory_primitive_desc_create, injected);
  if (result == nullptr || md == nullptr || handle == nullptr || md->format == mkldnn_any) {
    return mkldnn_invalid_arguments;
  }
  Engine *engine = FAKE_ENGINE(handle);
  return give(result, describe_memory(*md, engine, mkldnn_memory, kFakeMemoryDescriptor));
}

Status mkldnn_view_primitive_desc_create(Pd *result, ConstPd memory, const mkldnn_dims_t dims,
                                         const mkldnn_dims_t offsets) {
  FAKE_ENTER(view_primitive_desc_create, injected);
  FAKE_NEED(parent, FAKE_MEMORY_DESCRIPTOR(memory));
  mkldnn_memory_desc_t md = parent->md;
  mkldnn_blocking_desc_t &b = md.layout_desc.blocking;
  for (int i = 0; i < md.ndims; ++i) {
    md.dims[i] = b.padding_dims[i] = dims[i];
    b.offset_padding += offsets[i] * b.strides[0][i];
  }
  Descriptor *d = describe_memory(md, parent->engine, mkldnn_view, kFakeMemoryDescriptor);
  d->inputs = 1;
  return give(result, d);
}

size_t mkldnn_memory_primitive_desc_get_size(ConstPd handle) {
  FAKE_ENTER(memory_primitive_desc_get_size, 0);
  const Descriptor *d = FAKE_MEMORY_DESCRIPTOR(handle);
  size_t size = sizeof(float);
  for (int i = 0; d != nullptr && i < d->md.ndims; ++i) {
    size *= static_cast<size_t>(d->md.layout_desc.blocking.padding_dims[i]);
  }
  return size;
}

int mkldnn_memory_primitive_desc_equal(ConstPd a, ConstPd b) {
  FAKE_ENTER(memory_primitive_desc_equal, 0);
  const Descriptor *x = FAKE_MEMORY_DESCRIPTOR(a);
  const Descriptor *y = FAKE_MEMORY_DESCRIPTOR(b);
  return x != nullptr && y != nullptr && x->content == y->content;
}

Status mkldnn_memory_get_data_handle(const_mkldnn_primitive_t handle, void **data) {
  FAKE_ENTER(memory_get_data_handle, injected);
  if (data == nullptr) return mkldnn_invalid_arguments;
  *data = nullptr;
  if (handle == nullptr) return mkldnn_success;
  const Primitive *p = FAKE_PRIMITIVE(handle);
  if (p == nullptr || p->descriptor->kind != mkldnn_memory) return mkldnn_invalid_arguments;
  *data = p->handle;
  return mkldnn_success;
}

Status mkldnn_memory_set_data_handle(mkldnn_primitive_t handle, void *data) {
  FAKE_ENTER(memory_set_data_handle, injected);
  FAKE_NEED(p, FAKE_GIVEN(FAKE_PRIMITIVE, handle));
  if (p->descriptor->kind != mkldnn_memory) return mkldnn_invalid_arguments;
  p->handle = data;
  if (data != nullptr && has_padding(p->descriptor->md)) ++s.zero_paddings;
  return mkldnn_success;
}

// Primitive descriptors

Status mkldnn_primitive_desc_create(Pd *result, const_mkldnn_op_desc_t op_desc,
                                    mkldnn_engine_t engine, ConstPd hint) {
  return mkldnn_primitive_desc_create_v2(result, op_desc, nullptr, engine, hint);
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
  static const int kQueries[][2] = {
      {mkldnn_convolution, mkldnn_query_convolution_d},
      {mkldnn_deconvolution, mkldnn_query_deconvolution_d},
      {mkldnn_eltwise, mkldnn_query_eltwise_d},
      {mkldnn_softmax, mkldnn_query_softmax_d},
      {mkldnn_pooling, mkldnn_query_pooling_d},
      {mkldnn_lrn, mkldnn_query_lrn_d},
      {mkldnn_batch_normalization, mkldnn_query_batch_normalization_d},
      {mkldnn_inner_product, mkldnn_query_inner_product_d},
      {mkldnn_shuffle, mkldnn_query_shuffle_d}};
  for (const auto &query : kQueries) {
    if (query[0] == kind) return query[1];
  }
  return -1;
}

Status mkldnn_primitive_desc_query(ConstPd handle, mkldnn_query_t what, int index, void *result) {
  FAKE_ENTER(primitive_desc_query, injected);
  if (handle == nullptr || result == nullptr) return mkldnn_invalid_arguments;
  FAKE_NEED(d, FAKE_DESCRIPTOR(handle));
  const bool memory = is_memory(*d);
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

Md *mkldnn_primitive_desc_query_memory_d(ConstPd handle) {
  FAKE_ENTER(primitive_desc_query_memory_d, nullptr);
  const Descriptor *d = FAKE_GIVEN(FAKE_DESCRIPTOR, handle);
  return d != nullptr && is_memory(*d) ? &d->md : nullptr;
}

ConstPd mkldnn_primitive_desc_query_pd(ConstPd handle, mkldnn_query_t what, int index) {
  FAKE_ENTER(primitive_desc_query_pd, nullptr);
  const Descriptor *d = FAKE_GIVEN(FAKE_DESCRIPTOR, handle);
  return d == nullptr ? nullptr : reinterpret_cast<ConstPd>(role_of(*d, what, index));
}

Status mkldnn_reorder_primitive_desc_create_v2(Pd *result, ConstPd input, ConstPd output,
                                               ConstAttr attr_handle) {
  FAKE_ENTER(reorder_primitive_desc_create_v2, injected);
  if (result == nullptr || input == nullptr || output == nullptr) return mkldnn_invalid_arguments;
  const Descriptor *from = FAKE_MEMORY_DESCRIPTOR(input);
  const Descriptor *to = FAKE_MEMORY_DESCRIPTOR(output);
  if (from == nullptr || to == nullptr) return mkldnn_invalid_arguments;
  const Attr *attr = FAKE_GIVEN(FAKE_ATTR, attr_handle);
  return give(result, describe_reorder(*from, *to, attr));
}

Status mkldnn_reorder_primitive_desc_create(Pd *result, ConstPd input, ConstPd output) {
  return mkldnn_reorder_primitive_desc_create_v2(result, input, output, nullptr);
}

static Status create_many(State &s, const char *function, Pd *result, int kind, Md *output, int n,
                          const float *scales, int dimension, ConstPd *handles) {
  if (result == nullptr || handles == nullptr || n <= 0) return mkldnn_invalid_arguments;
  std::vector<const Descriptor *> inputs;
  for (int i = 0; i < n; ++i) {
    if (handles[i] == nullptr) return mkldnn_invalid_arguments;
    inputs.push_back(FAKE_MEMORY_DESCRIPTOR(handles[i]));
    if (inputs.back() == nullptr) return mkldnn_invalid_arguments;
  }
  return give(result, describe_many(kind, output, n, scales, dimension, inputs, nullptr));
}

Status mkldnn_sum_primitive_desc_create(Pd *result, Md *output, int n, const float *scales,
                                        ConstPd *inputs) {
  FAKE_ENTER(sum_primitive_desc_create, injected);
  if (scales == nullptr) return mkldnn_invalid_arguments;
  return create_many(s, function, result, mkldnn_sum, output, n, scales, 0, inputs);
}

Status mkldnn_concat_primitive_desc_create(Pd *result, Md *output, int n, int dimension,
                                           ConstPd *inputs) {
  FAKE_ENTER(concat_primitive_desc_create, injected);
  return create_many(s, function, result, mkldnn_concat, output, n, nullptr, dimension, inputs);
}

Status mkldnn_primitive_desc_iterator_create(mkldnn_primitive_desc_iterator_t *result,
                                             const_mkldnn_op_desc_t op_desc, mkldnn_engine_t engine,
                                             ConstPd hint) {
  return mkldnn_primitive_desc_iterator_create_v2(result, op_desc, nullptr, engine, hint);
}

}  // extern "C"
