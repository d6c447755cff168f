// Iterators over the implementations of an operation.
#include "shared/iterators.h"

#include "api1/calls.h"
#include "api1/canonical.h"

namespace opcache {
namespace api1 {

namespace {

struct Api1 {
  typedef api1::Real Real;
  typedef api1::Operation Operation;
  typedef api1::RealIterator RealIterator;
  typedef api1::Attr Attr;
  typedef api1::Engine Engine;
  typedef api1::Status Status;
  static const api1::Status kEnds = kIteratorEnds;

  static Status create(const Real &r, RealIterator **result, const void *op_desc, const Attr *attr,
                       Engine *engine, const mkldnn_primitive_desc *hint) {
    return r.primitive_desc_iterator_create(result, op_desc, attr, engine, hint);
  }
};

typedef Iterator<Api1> It;

}  // namespace

Status create_iterator(RealIterator **result, const void *op_desc, const Attr *attr, Engine *engine,
                       const mkldnn_primitive_desc *hint) {
  const bool arguments_ok = result != nullptr && op_desc != nullptr && engine != nullptr;
  return It::create(real(), cache_if(arguments_ok), result, op_desc, attr, engine, hint);
}

Status next_implementation(RealIterator *iterator) {
  It *const it = It::ours(iterator);
  return it != nullptr ? it->next(real()) : real().primitive_desc_iterator_next(iterator);
}

mkldnn_primitive_desc *fetch_implementation(const RealIterator *iterator) {
  const It *const it = It::ours(iterator);
  return it != nullptr ? it->fetch(real()) : real().primitive_desc_iterator_fetch(iterator);
}

Status destroy_iterator(RealIterator *iterator) {
  It *const it = It::ours(iterator);
  if (it == nullptr) return real().primitive_desc_iterator_destroy(iterator);
  it->destroy(real());
  return kSuccess;
}

}  // namespace api1
}  // namespace opcache
