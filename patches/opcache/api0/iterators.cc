// Iterators over the implementations of an operation.
#include "shared/iterators.h"

#include "api0/calls.h"
#include "api0/canonical.h"

namespace opcache {

namespace {

struct Api0 {
  typedef opcache::Real Real;
  typedef opcache::Operation Operation;
  typedef mkldnn_primitive_desc_iterator RealIterator;
  typedef mkldnn_primitive_attr Attr;
  typedef mkldnn_engine Engine;
  typedef mkldnn_status_t Status;
  static const mkldnn_status_t kEnds = mkldnn_iterator_ends;

  static mkldnn_status_t create(const Real &r, RealIterator **result, const void *op_desc,
                                const Attr *attr, Engine *engine,
                                const mkldnn_primitive_desc *hint) {
    return r.primitive_desc_iterator_create_v2(result, op_desc, attr, engine, hint);
  }
};

typedef Iterator<Api0> It;

}  // namespace

mkldnn_status_t create_iterator(mkldnn_primitive_desc_iterator_t *result,
                                const_mkldnn_op_desc_t op_desc, const_mkldnn_primitive_attr_t attr,
                                mkldnn_engine_t engine, const_mkldnn_primitive_desc_t hint) {
  const bool arguments_ok = result != nullptr && op_desc != nullptr && engine != nullptr;
  return It::create(real(), cache_if(arguments_ok), result, op_desc, attr, engine, hint);
}

mkldnn_status_t create_iterator_v1(mkldnn_primitive_desc_iterator_t *result,
                                   const_mkldnn_op_desc_t op_desc, mkldnn_engine_t engine,
                                   const_mkldnn_primitive_desc_t hint) {
  return create_iterator(result, op_desc, nullptr, engine, hint);
}

mkldnn_status_t next_implementation(mkldnn_primitive_desc_iterator_t iterator) {
  const Real &r = real();
  It *const it = It::ours(iterator);
  return it != nullptr ? it->next(r) : r.primitive_desc_iterator_next(iterator);
}

mkldnn_primitive_desc_t fetch_implementation(const_mkldnn_primitive_desc_iterator_t iterator) {
  const Real &r = real();
  const It *const it = It::ours(iterator);
  return it != nullptr ? it->fetch(r) : r.primitive_desc_iterator_fetch(iterator);
}

mkldnn_status_t destroy_iterator(mkldnn_primitive_desc_iterator_t iterator) {
  const Real &r = real();
  It *const it = It::ours(iterator);
  if (it == nullptr) return r.primitive_desc_iterator_destroy(iterator);
  it->destroy(r);
  return mkldnn_success;
}

}  // namespace opcache
