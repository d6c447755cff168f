// Primitive descriptors: an equal description gets the descriptor that is already there.
#include "api1/calls.h"
#include "api1/canonical.h"

namespace opcache {
namespace api1 {

Op op_of_kind(int kind, int prop_kind) {
  static const Op kForward[] = {kOther,       kReorder,       kOther,         kConcat,  kSum,
                                kConvolution, kDeconvolution, kActivation,    kSoftmax, kPooling,
                                kLRN,         kBatchNorm,     kFullyConnected};
  static_assert(sizeof(kForward) / sizeof(kForward[0]) == kInnerProductKind + 1,
                "one for each Kind, in that order");
  const bool known = kind >= 0 && kind <= kInnerProductKind;
  return op_of(known ? kForward[kind] : kOther, prop_kind);
}

Op op_of_handle(const Real &r, const mkldnn_primitive_desc *pd) {
  int kind = 0;
  const OperationHead *head = nullptr;
  if (pd == nullptr || r.primitive_desc_query(pd, kQueryKind, 0, &kind) != kSuccess) return kOther;
  if (kind < kConvolutionKind) return op_of_kind(kind, 0);
  if (r.primitive_desc_query(pd, kQueryOperation, 0, &head) != kSuccess) return kOther;
  return op_of_kind(kind, head->prop_kind);
}

bool operation_in_scope(const Real &, ThreadCache *cache, const void *op_desc, Op *op) {
  const OperationHead *const head = static_cast<const OperationHead *>(op_desc);
  *op = op_of_kind(head->primitive_kind, head->prop_kind);
  if (!caching(cache)) return false;
  // The kinds before have no operation descriptors.
  if (*op == kOther || head->primitive_kind < kConvolutionKind) {
    count_bypass(cache, kUnknownKind);
    return false;
  }
  return descriptor_in_scope(*op);
}

void tell_deconvolution(const Real &, ThreadCache *cache, Descriptor *d, Descriptor *hint,
                        const void *op_desc) {
  const OperationHead *const head = static_cast<const OperationHead *>(op_desc);
  if (head->primitive_kind != kConvolutionKind) return;
  const ConvolutionDesc &desc = *static_cast<const ConvolutionDesc *>(head);
  opcache::tell_deconvolution(cache, d, hint, desc.prop_kind, desc.bias.ndims != 0);
}

namespace {

struct Reorder {
  const Real &r;
  const MemoryDesc *source;
  Engine *source_engine;
  const MemoryDesc *destination;
  Engine *destination_engine;
  const Attr *attr;

  template <class V>
  void visit(V &v) const {
    visit_reorder(v, r, context_of(r, source_engine), *source, *destination, destination_engine,
                  attr);
  }
  Status create(mkldnn_primitive_desc **pd) const {
    return r.reorder_primitive_desc_create(pd, source, source_engine, destination,
                                           destination_engine, attr);
  }
};

struct Sum {
  const Real &r;
  const MemoryDesc *output;
  int n;
  const float *scales;
  const MemoryDesc *inputs;
  const Attr *attr;
  Engine *engine;

  template <class V>
  void visit(V &v) const {
    visit_sum(v, r, context_of(r, engine), output, n, scales, inputs, attr);
  }
  Status create(mkldnn_primitive_desc **pd) const {
    return r.sum_primitive_desc_create(pd, output, n, scales, inputs, attr, engine);
  }
};

struct Concat {
  const Real &r;
  const MemoryDesc *output;
  int n;
  int dimension;
  const MemoryDesc *inputs;
  const Attr *attr;
  Engine *engine;

  template <class V>
  void visit(V &v) const {
    visit_concat(v, r, context_of(r, engine), output, n, dimension, inputs, attr);
  }
  Status create(mkldnn_primitive_desc **pd) const {
    return r.concat_primitive_desc_create(pd, output, n, dimension, inputs, attr, engine);
  }
};

}  // namespace

Status create_operation(mkldnn_primitive_desc **result, const void *op_desc, const Attr *attr,
                        Engine *engine, const mkldnn_primitive_desc *hint) {
  const bool arguments_ok = result != nullptr && op_desc != nullptr && engine != nullptr;
  const Operation source = {real(), op_desc, attr, engine, hint, find_descriptor(hint), 0};
  return create_described(cache_if(arguments_ok), source, result);
}

Status create_reorder(mkldnn_primitive_desc **result, const MemoryDesc *source,
                      Engine *source_engine, const MemoryDesc *destination,
                      Engine *destination_engine, const Attr *attr) {
  const Reorder reorder = {real(), source, source_engine, destination, destination_engine, attr};
  const bool arguments_ok = result != nullptr && source != nullptr && source_engine != nullptr &&
                            destination != nullptr && destination_engine != nullptr;
  return create_simple(cache_if(arguments_ok), kReorder, reorder, result);
}

Status create_sum(mkldnn_primitive_desc **result, const MemoryDesc *output, int n,
                  const float *scales, const MemoryDesc *inputs, const Attr *attr, Engine *engine) {
  const Sum sum = {real(), output, n, scales, inputs, attr, engine};
  const bool arguments_ok =
      result != nullptr && n > 0 && scales != nullptr && inputs != nullptr && engine != nullptr;
  return create_simple(cache_if(arguments_ok), kSum, sum, result);
}

Status create_concat(mkldnn_primitive_desc **result, const MemoryDesc *output, int n, int dimension,
                     const MemoryDesc *inputs, const Attr *attr, Engine *engine) {
  const Concat concat = {real(), output, n, dimension, inputs, attr, engine};
  const bool arguments_ok = result != nullptr && n > 0 && inputs != nullptr && engine != nullptr;
  return create_simple(cache_if(arguments_ok), kConcat, concat, result);
}

Status clone_descriptor(mkldnn_primitive_desc **result, const mkldnn_primitive_desc *existing) {
  const Real &r = real();
  ThreadCache *const cache = ThreadCache::mine();
  if (cache == nullptr || result == nullptr || existing == nullptr) {
    return r.primitive_desc_clone(result, existing);
  }
  Descriptor *const d = find_descriptor(existing);
  if (d != nullptr) {
    CacheTime time(cache);
    retain(d);
    count_avoided(cache, d);
    *result = d->real;
    return kSuccess;
  }
  return clone_passing(r, cache, result, existing);
}

Status destroy_descriptor(mkldnn_primitive_desc *descriptor) {
  return destroy_handle(real(), descriptor);
}

Status destroy_engine(Engine *engine) {
  // Cached descriptors point to it. It is a few words: leave it.
  if (anything_cached()) return kSuccess;
  return real().engine_destroy(engine);
}

Status set_rnn_data(Attr *attr, float scale, float shift) {
  hide_attributes();
  return real().primitive_attr_set_rnn_data_qparams(attr, scale, shift);
}

Status set_rnn_weights(Attr *attr, int64_t count, int mask, const float *scales) {
  hide_attributes();
  return real().primitive_attr_set_rnn_weights_qparams(attr, count, mask, scales);
}

}  // namespace api1
}  // namespace opcache
