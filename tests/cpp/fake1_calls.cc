// The exported functions of the fake MKL-DNN 1.0 that the other one has not, or has with other
// arguments; the rest is in fake_*.cc, compiled for both. Argument checks are the real library's.
#include <string.h>

#include "fake_call.h"

using namespace fake;

namespace {

struct Memory : Object {
  Memory() : Object(kFakeMemory) {}
  mkldnn_memory_desc_t md = {};
  Engine *engine = nullptr;
  void *handle = nullptr;
};

#define FAKE_MEMORY(h) FAKE_CHECK(Memory, h, kFakeMemory, kFakeMemory)

// Layouts as descriptors of their own, for as long as they are needed.
class Layouts {
 public:
  ~Layouts() {
    for (const Descriptor *d : all) fake::destroy(const_cast<Descriptor *>(d));
  }
  const Descriptor *add(const mkldnn_memory_desc_t &md, Engine *engine) {
    all.push_back(describe_memory(md, engine, kMemoryKind, kFakeTypes));
    return all.back();
  }
  std::vector<const Descriptor *> all;
};

const mkldnn_memory_desc_t *layout_of(const Descriptor &d, int what, int index) {
  static const int kRoleOf[] = {kSrc, kSrc, kWeights, kWeights, kDst, kDst, kWorkspace};
  const int query = what - mkldnn_query_src_md;
  if (query < 0 || query > mkldnn_query_workspace_md - mkldnn_query_src_md) return nullptr;
  const int role = kRoleOf[query] + (kRoleOf[query] == kWeights ? index : 0);
  const bool there = index == 0 || (index == 1 && role == kBias);
  return there && d.roles[role] != nullptr ? &d.roles[role]->md : nullptr;
}

}  // namespace

extern "C" {

// Memory

Status mkldnn_memory_desc_init_by_tag(mkldnn_memory_desc_t *result, int ndims,
                                      const mkldnn_dims_t dims, mkldnn_data_type_t data_type,
                                      mkldnn_format_tag_t tag) {
  FAKE_ENTER(memory_desc_init_by_tag, injected);
  return init_memory(result, ndims, dims, data_type, tag);
}

int mkldnn_memory_desc_equal(Md *a, Md *b) {
  FAKE_ENTER(memory_desc_equal, 0);
  Layouts layouts;
  return a != nullptr && b != nullptr &&
         layouts.add(*a, nullptr)->content == layouts.add(*b, nullptr)->content;
}

size_t mkldnn_memory_desc_get_size(Md *md) {
  FAKE_ENTER(memory_desc_get_size, 0);
  size_t size = sizeof(float);
  for (int i = 0; md != nullptr && i < md->ndims; ++i) {
    size *= static_cast<size_t>(md->padded_dims[i]);
  }
  return size;
}

Status mkldnn_memory_create(mkldnn_memory_t *result, Md *md, mkldnn_engine_t engine, void *handle) {
  FAKE_ENTER(memory_create, injected);
  if (result == nullptr || md == nullptr || engine == nullptr) return mkldnn_invalid_arguments;
  Memory *memory = s.make<Memory>(kFakeMemory);
  memory->md = *md;
  memory->engine = FAKE_ENGINE(engine);
  memory->handle = handle;
  return give(result, memory);
}

FAKE_DESTROY(memory_destroy, mkldnn_memory_t, FAKE_MEMORY, true)

FAKE_FUNCTION(memory_get_memory_desc, (const_mkldnn_memory_t handle, Md **md),
              FAKE_NEED(memory, FAKE_MEMORY(handle));
              *md = &memory->md)
FAKE_FUNCTION(memory_get_engine, (const_mkldnn_memory_t handle, mkldnn_engine_t *engine),
              FAKE_NEED(memory, FAKE_MEMORY(handle));
              give(engine, memory->engine))
FAKE_FUNCTION(memory_get_data_handle, (const_mkldnn_memory_t handle, void **data),
              FAKE_NEED(memory, FAKE_MEMORY(handle));
              *data = memory->handle)
FAKE_FUNCTION(memory_set_data_handle, (mkldnn_memory_t handle, void *data),
              FAKE_NEED(memory, FAKE_MEMORY(handle));
              memory->handle = data)

// Primitive descriptors

Status mkldnn_primitive_desc_query(ConstPd handle, mkldnn_query_t what, int index, void *result) {
  FAKE_ENTER(primitive_desc_query, injected);
  if (handle == nullptr || result == nullptr) return mkldnn_invalid_arguments;
  FAKE_NEED(d, FAKE_DESCRIPTOR(handle));
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
  } else if (what == mkldnn_query_op_d && !d->op_desc.empty()) {
    *static_cast<const void **>(result) = d->op_desc.data();
  } else if (what > mkldnn_query_some_md) {
    const mkldnn_memory_desc_t *const md = layout_of(*d, what, index);
    if (md == nullptr) return mkldnn_not_required;
    *static_cast<Md **>(result) = md;
  } else {
    return mkldnn_unimplemented;
  }
  return mkldnn_success;
}

Md *mkldnn_primitive_desc_query_md(ConstPd handle, mkldnn_query_t what, int index) {
  FAKE_ENTER(primitive_desc_query_md, nullptr);
  const Descriptor *d = FAKE_GIVEN(FAKE_DESCRIPTOR, handle);
  return d == nullptr ? nullptr : layout_of(*d, what, index);
}

Status mkldnn_reorder_primitive_desc_create(Pd *result, Md *from, mkldnn_engine_t from_engine,
                                            Md *to, mkldnn_engine_t to_engine, ConstAttr attr) {
  FAKE_ENTER(reorder_primitive_desc_create, injected);
  for (const void *argument :
       {(void *)result, (void *)from, (void *)from_engine, (void *)to, (void *)to_engine}) {
    if (argument == nullptr) return mkldnn_invalid_arguments;
  }
  if (!sane(*from) || !sane(*to)) return mkldnn_unimplemented;
  Layouts layouts;
  const Descriptor &input = *layouts.add(*from, FAKE_ENGINE(from_engine));
  const Descriptor &output = *layouts.add(*to, FAKE_ENGINE(to_engine));
  return give(result, describe_reorder(input, output, FAKE_GIVEN(FAKE_ATTR, attr)));
}

static Status create_many(State &s, const char *function, Pd *result, int kind, Md *output, int n,
                          const float *scales, int dimension, Md *inputs, ConstAttr attr,
                          mkldnn_engine_t engine) {
  if (result == nullptr || inputs == nullptr || n <= 0) return mkldnn_invalid_arguments;
  Layouts layouts;
  if (output != nullptr && !sane(*output)) return mkldnn_invalid_arguments;
  for (int i = 0; i < n; ++i) {
    if (!sane(inputs[i])) return mkldnn_invalid_arguments;
    layouts.add(inputs[i], FAKE_ENGINE(engine));
  }
  return give(result, describe_many(kind, output, n, scales, dimension, layouts.all,
                                    FAKE_GIVEN(FAKE_ATTR, attr)));
}

Status mkldnn_sum_primitive_desc_create(Pd *result, Md *output, int n, const float *scales,
                                        Md *inputs, ConstAttr attr, mkldnn_engine_t engine) {
  FAKE_ENTER(sum_primitive_desc_create, injected);
  if (scales == nullptr) return mkldnn_invalid_arguments;
  return create_many(s, function, result, mkldnn_sum, output, n, scales, 0, inputs, attr, engine);
}

Status mkldnn_concat_primitive_desc_create(Pd *result, Md *output, int n, int dimension, Md *inputs,
                                           ConstAttr attr, mkldnn_engine_t engine) {
  FAKE_ENTER(concat_primitive_desc_create, injected);
  return create_many(s, function, result, mkldnn_concat, output, n, nullptr, dimension, inputs,
                     attr, engine);
}

// Primitives

#define FAKE_OPERATION_PRIMITIVE(h) FAKE_CHECK(Primitive, h, kFakePrimitive, kFakePrimitive)

Status mkldnn_primitive_create(mkldnn_primitive_t *result, ConstPd descriptor) {
  void (*const hook)() = State::get().on_primitive_create;
  if (hook != nullptr) hook();
  FAKE_ENTER(primitive_create, injected);
  if (result == nullptr || descriptor == nullptr) return mkldnn_invalid_arguments;
  FAKE_NEED(d, FAKE_DESCRIPTOR(descriptor));
  Primitive *p = s.make<Primitive>(kFakePrimitive);
  p->descriptor = copy(*d, kFakeTypes);
  count_scratchpad(p);
  return give(result, p);
}

FAKE_DESTROY(primitive_destroy, mkldnn_primitive_t, FAKE_OPERATION_PRIMITIVE, true)

Status mkldnn_primitive_get_primitive_desc(const_mkldnn_primitive_t handle, ConstPd *result) {
  FAKE_ENTER(primitive_get_primitive_desc, injected);
  if (handle == nullptr || result == nullptr) return mkldnn_invalid_arguments;
  FAKE_NEED(p, FAKE_OPERATION_PRIMITIVE(handle));
  return give(result, p->descriptor);
}

// The log has the data in the order of the arguments.
Status mkldnn_primitive_execute(const_mkldnn_primitive_t handle, mkldnn_stream_t stream, int n,
                                const mkldnn_exec_arg_t *arguments) {
  FAKE_ENTER(primitive_execute, injected);
  if (handle == nullptr || stream == nullptr || (n > 0 && arguments == nullptr)) {
    return mkldnn_invalid_arguments;
  }
  FAKE_NEED(p, FAKE_OPERATION_PRIMITIVE(handle));
  FAKE_STREAM(stream);
  need_scratchpad(*p);
  FakeExecution e = execution_of(*p->descriptor);
  for (int i = 0; i < n && i < static_cast<int>(kFakeData); ++i) {
    FAKE_NEED(memory, FAKE_MEMORY(arguments[i].memory));
    e.data[i] = memory->handle;
  }
  log_execution(e);
  return mkldnn_success;
}

// Streams

Status mkldnn_stream_create(mkldnn_stream_t *result, mkldnn_engine_t engine, unsigned) {
  FAKE_ENTER(stream_create, injected);
  if (result == nullptr || engine == nullptr) return mkldnn_invalid_arguments;
  FAKE_ENGINE(engine);
  return give(result, s.make<Stream>(kFakeStream));
}

FAKE_FUNCTION(stream_wait, (mkldnn_stream_t handle), FAKE_NEED(stream, FAKE_STREAM(handle));
              stream->stopped = true)

FAKE_DESTROY(stream_destroy, mkldnn_stream_t, FAKE_STREAM, true)

}  // extern "C"
